-- What a workspace may have, where whoever runs the hub limits it. No row: everything.
create table plans (
    workspace_id text primary key references workspaces (id) on delete cascade,
    name text not null,
    -- JSON object of limits by name; absent: unlimited.
    limits text not null,
    -- JSON list of features.
    features text not null,
    version bigint not null,
    updated_at bigint not null
);
