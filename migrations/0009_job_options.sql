-- Jobs that must be alone on their server, limits, the batch that made a job, and what an operator has to sign.
alter table jobs add column exclusive boolean not null default false;
alter table jobs add column limits text;
alter table jobs add column batch_id text;
-- Fixed when the job was made; null where the host asked for no signature.
alter table jobs add column op_body text;
-- A batch never makes two jobs for one server, whatever is killed in between.
create unique index jobs_by_batch on jobs (batch_id, server_id) where batch_id is not null;

-- Operators' signatures over op_body, as they go to the host. Who gave them is kept as it was.
create table job_signatures (
    job_id text not null references jobs (id) on delete cascade,
    fingerprint text not null,
    signature text not null,
    key_name text not null,
    user_id text not null,
    user_name text not null,
    signed_at bigint not null,
    primary key (job_id, fingerprint)
);

-- Public keys that people sign jobs with. Which of them count, each host says.
create table operator_keys (
    id text primary key,
    user_id text not null references users (id) on delete cascade,
    name text not null,
    public_key text not null,
    fingerprint text not null,
    created_at bigint not null,
    unique (user_id, fingerprint)
);
create index operator_keys_by_fingerprint on operator_keys (fingerprint);
