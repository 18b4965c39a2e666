-- One row per VPS with an agent.
create table servers (
    id text primary key,
    workspace_id text not null references workspaces (id) on delete cascade,
    name text not null,
    -- Folded in the hub, for sorting and searching: engines fold letters differently.
    name_key text not null,
    search_key text not null,
    labels text not null,
    -- What the hub last announced: online, suspect, offline, pending, revoked.
    status text not null,
    -- SHA-256 of the agent token; null once it is revoked.
    token_digest text unique,
    machine_id_hash text,
    host text,
    agent text,
    policy text,
    clock_offset_ms bigint,
    registered_at bigint not null,
    -- Null until the agent connected for the first time.
    last_seen_at bigint,
    revoked_at bigint,
    version bigint not null
);
create index servers_by_name on servers (workspace_id, name_key, id);
create index servers_by_status on servers (workspace_id, status);

-- The same labels as rows of `key:value`, for filters.
create table server_labels (
    server_id text not null references servers (id) on delete cascade,
    label text not null,
    primary key (server_id, label)
);

-- What agents reported on their own. The id is the agent's, so it is unique per server only.
create table server_events (
    server_id text not null references servers (id) on delete cascade,
    id text not null,
    kind text not null,
    severity text not null,
    subject text,
    at bigint not null,
    received_at bigint not null,
    data text not null,
    primary key (server_id, id)
);
create index server_events_by_time on server_events (server_id, received_at);
