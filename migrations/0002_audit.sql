-- Who did what to what. Written in the change's own transaction; `position` and the hashes are filled in within a
-- second by the one task that chains records, so that a change never waits for the chain.
create table audit (
    id text primary key,
    -- No reference: what was done outlives the workspace it was done in.
    workspace_id text not null,
    at bigint not null,
    actor_type text not null,
    actor_id text not null,
    actor_name text not null,
    action text not null,
    subject_type text not null,
    subject_id text not null,
    subject_name text not null,
    result text not null,
    ip text not null,
    user_agent text not null,
    request_id text not null,
    details text not null,
    position bigint unique,
    prev_hash text,
    hash text
);
create index audit_by_workspace on audit (workspace_id, id);
create index audit_by_subject on audit (workspace_id, subject_id, id);
create index audit_unchained on audit (id) where position is null;

-- The end of the chain, one row. Whoever chains locks it, so that several hubs on one database chain one by one.
create table audit_head (
    name text primary key,
    position bigint not null,
    hash text not null
);
insert into audit_head (name, position, hash)
values ('head', 0, '0000000000000000000000000000000000000000000000000000000000000000');
