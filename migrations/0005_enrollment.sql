-- Install tokens: each admits one agent, once.
create table install_tokens (
    id text primary key,
    workspace_id text not null references workspaces (id) on delete cascade,
    token_digest text not null unique,
    name text,
    labels text not null,
    -- The server that this token connects again; null when it makes a new one.
    server_id text references servers (id) on delete cascade,
    created_at bigint not null,
    expires_at bigint not null,
    used_at bigint,
    -- SHA-256 of the nonce it was used with: the same nonce is answered again until the agent has connected.
    nonce_digest text,
    registered_server_id text references servers (id) on delete cascade
);
create index install_tokens_by_workspace on install_tokens (workspace_id, id);
create index install_tokens_by_age on install_tokens (expires_at);
