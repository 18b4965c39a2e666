-- People, workspaces and who may do what in them.
create table workspaces (
    id text primary key,
    name text not null,
    created_at bigint not null
);

create table users (
    id text primary key,
    email text not null,
    -- Folded in the hub: engines fold letters differently.
    email_key text not null unique,
    name text not null,
    password_hash text not null,
    created_at bigint not null
);

create table members (
    workspace_id text not null references workspaces (id) on delete cascade,
    user_id text not null references users (id) on delete cascade,
    role text not null,
    created_at bigint not null,
    primary key (workspace_id, user_id)
);
create index members_by_user on members (user_id);

create table sessions (
    id text primary key,
    user_id text not null references users (id) on delete cascade,
    token_digest text not null unique,
    created_at bigint not null,
    last_seen_at bigint not null,
    expires_at bigint not null,
    ip text not null,
    user_agent text not null
);
create index sessions_by_user on sessions (user_id, created_at);

-- Facts about this installation: the fingerprint of its signing key, the set-up code's digest.
create table installation (
    name text primary key,
    value text not null
);
