-- Answers to requests with an Idempotency-Key, kept for a day.
create table idempotency_keys (
    workspace_id text not null references workspaces (id) on delete cascade,
    actor_id text not null,
    key text not null,
    -- SHA-256 over method, path and body.
    request_digest text not null,
    created_at bigint not null,
    -- Null while the request runs, and for ever when it broke off in the middle.
    status bigint,
    -- Null where the answer held a secret.
    body text,
    resource_id text,
    primary key (workspace_id, actor_id, key)
);
create index idempotency_keys_by_age on idempotency_keys (created_at);
