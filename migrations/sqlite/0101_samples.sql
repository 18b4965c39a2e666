-- Minutes that are over and not in a block yet: one row holds the minutes of many servers, so that writing them is one
-- append, whoever they belong to. Read only when the hub starts.
create table sample_journal (
    minute bigint not null,
    id text not null,
    data blob not null,
    primary key (minute, id)
);

-- Packed history: one row is one server's samples of all series over a span. `tier` is seconds between samples, `start`
-- the first one in Unix seconds.
create table sample_blocks (
    server_id text not null,
    tier bigint not null,
    start bigint not null,
    data blob not null,
    primary key (server_id, tier, start)
);
