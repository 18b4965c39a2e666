-- One job on several servers, in waves.
create table job_batches (
    id text primary key,
    workspace_id text not null references workspaces (id) on delete cascade,
    kind text not null,
    args text not null,
    timeout_s bigint not null,
    expires_in_s bigint not null,
    limits text,
    exclusive boolean not null,
    -- As it was asked for; which servers it meant then is in job_batch_servers.
    selector text not null,
    canary bigint,
    batch_size bigint,
    batch_percent bigint,
    max_failures bigint not null,
    pause_s bigint not null,
    state text not null,
    -- Why it stands still, in words.
    halt_message text,
    -- Failures from before it was last resumed.
    forgiven bigint not null,
    -- The wave that is under way, from 0, and how many there are.
    wave bigint not null,
    waves bigint not null,
    next_wave_at bigint,
    -- What job_batch_servers said when it was last looked at.
    total bigint not null,
    active bigint not null,
    succeeded bigint not null,
    failed bigint not null,
    created_at bigint not null,
    created_by_type text not null,
    created_by_id text not null,
    created_by_name text not null,
    finished_at bigint
);
create index job_batches_by_workspace on job_batches (workspace_id, id);
create index job_batches_unfinished on job_batches (id) where finished_at is null;

-- Fixed when the batch is made. The job of a server is found in jobs by batch and server, until its end is noted here.
create table job_batch_servers (
    batch_id text not null references job_batches (id) on delete cascade,
    place bigint not null,
    server_id text not null,
    server_name text not null,
    wave bigint not null,
    job_id text,
    -- The final state of the job; null until it has ended.
    outcome text,
    primary key (batch_id, place),
    unique (batch_id, server_id)
);
create index job_batch_servers_open on job_batch_servers (batch_id, wave, place) where outcome is null;
