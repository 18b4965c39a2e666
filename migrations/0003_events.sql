-- Changes that people may see, kept for a day so that event streams can resume. Each workspace counts its own, without
-- holes: the counter moves in the change's own transaction, so a missing number means "not read yet", never "rolled back".
create table events (
    workspace_id text not null references workspaces (id) on delete cascade,
    seq bigint not null,
    at bigint not null,
    kind text not null,
    subject_kind text not null,
    subject_id text not null,
    data text not null,
    primary key (workspace_id, seq)
);
create index events_by_age on events (workspace_id, at);

-- Last number given out, and the last one that retention removed.
create table event_heads (
    workspace_id text primary key references workspaces (id) on delete cascade,
    seq bigint not null,
    pruned_seq bigint not null
);
