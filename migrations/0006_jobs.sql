-- One row per job. No reference to servers: what was done on a server outlives it.
create table jobs (
    id text primary key,
    workspace_id text not null references workspaces (id) on delete cascade,
    server_id text not null,
    -- Order of a server's queue and of lists; grows with every job that a hub makes.
    position bigint not null,
    kind text not null,
    args text not null,
    timeout_s bigint not null,
    created_at bigint not null,
    expires_at bigint not null,
    -- user, api_key, schedule, workflow or system.
    created_by_type text not null,
    created_by_id text not null,
    created_by_name text not null,
    retry_of text,
    state text not null,
    -- When the order was first and last put on the wire, and the boot of the machine that it went to.
    sent_at bigint,
    delivered_at bigint,
    boot_id text,
    -- The server's worker claimed it: it may have run.
    claimed boolean not null,
    cancel_requested_at bigint,
    started_at bigint,
    finished_at bigint,
    duration_ms bigint,
    exit_code bigint,
    signal bigint,
    error_code text,
    error_message text,
    result text,
    -- Of the whole log; final once the job has ended, see job_log until then.
    log_bytes bigint not null,
    log_truncated boolean not null
);
create index jobs_by_workspace on jobs (workspace_id, position);
create index jobs_by_server on jobs (server_id, position);
-- Few rows, however many jobs there were.
create index jobs_unfinished on jobs (server_id, state, position) where finished_at is null;
create index jobs_by_expiry on jobs (expires_at) where finished_at is null;
create index jobs_by_end on jobs (finished_at) where finished_at is not null;
