-- Projects, roles of a workspace's own, grants in place of one role per member, invitations and API keys.
create table projects (
    id text primary key,
    workspace_id text not null references workspaces (id) on delete cascade,
    name text not null,
    -- Folded in the hub: engines fold letters differently.
    name_key text not null,
    created_at bigint not null,
    version bigint not null,
    unique (workspace_id, name_key)
);

-- Servers of a removed project stay, in no project.
alter table servers add column project_id text references projects (id) on delete set null;
create index servers_by_project on servers (project_id);

alter table install_tokens add column project_id text references projects (id) on delete set null;
-- Who made it: a token goes with its maker's membership. Null on those that were made before this migration.
alter table install_tokens add column created_by text;

-- Where a batch lies: the project that all its servers were in, the server where it has only one.
alter table job_batches add column project_id text references projects (id) on delete set null;
alter table job_batches add column server_id text;

-- Where what changed lies: on a server, or in a project; null where it concerns the workspace.
alter table events add column server_id text;
alter table events add column project_id text;

create table roles (
    id text primary key,
    workspace_id text not null references workspaces (id) on delete cascade,
    name text not null,
    name_key text not null,
    -- JSON list of permission nodes.
    nodes text not null,
    created_at bigint not null,
    version bigint not null,
    unique (workspace_id, name_key)
);

-- One of role, role_id and nodes says what is granted; neither project_id nor server_id means the whole workspace.
create table grants (
    id text primary key,
    workspace_id text not null,
    user_id text not null,
    role text,
    role_id text references roles (id),
    nodes text,
    project_id text references projects (id) on delete cascade,
    server_id text references servers (id) on delete cascade,
    created_at bigint not null,
    foreign key (workspace_id, user_id) references members (workspace_id, user_id) on delete cascade
);
create index grants_by_member on grants (user_id, workspace_id);
create index grants_by_role on grants (role_id);

-- Nobody was a member of two workspaces before this migration, so a person's id names their grant.
insert into grants (id, workspace_id, user_id, role, created_at)
select user_id, workspace_id, user_id, role, created_at from members where role = 'owner';
alter table members drop column role;

-- The workspace that a session acts in; null: the person's oldest.
alter table sessions add column workspace_id text references workspaces (id) on delete set null;

create table invites (
    id text primary key,
    workspace_id text not null references workspaces (id) on delete cascade,
    email text not null,
    email_key text not null,
    token_digest text not null unique,
    role text,
    role_id text references roles (id) on delete cascade,
    nodes text,
    project_id text references projects (id) on delete cascade,
    server_id text references servers (id) on delete cascade,
    -- An invitation goes with its maker's membership.
    invited_by text not null references users (id) on delete cascade,
    created_at bigint not null,
    expires_at bigint not null
);
create unique index invites_by_email on invites (workspace_id, email_key);

create table api_keys (
    id text primary key,
    workspace_id text not null,
    user_id text not null,
    name text not null,
    token_digest text not null unique,
    -- JSON list of permission nodes: the key holds those of them that its maker holds.
    nodes text not null,
    project_id text references projects (id) on delete cascade,
    server_id text references servers (id) on delete cascade,
    -- JSON list of networks that it may be used from; empty: any.
    networks text not null,
    created_at bigint not null,
    expires_at bigint,
    last_used_at bigint,
    last_used_ip text,
    foreign key (workspace_id, user_id) references members (workspace_id, user_id) on delete cascade
);
create index api_keys_by_workspace on api_keys (workspace_id, id);
create index api_keys_by_member on api_keys (user_id, workspace_id);
