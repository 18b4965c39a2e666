-- One-time codes as a second factor, sessions that know when somebody last proved who they are, and the memory of sign-in
-- throttling.
create table totp (
    user_id text primary key references users (id) on delete cascade,
    -- Sealed with the key in the keys directory, bound to the person.
    sealed_secret text not null,
    -- Null: not confirmed yet, and no sign-in asks for it.
    enabled_at bigint,
    -- The newest time step that a code was taken of: no code of it or an older one is taken again.
    last_step bigint not null
);

-- Of 80 random bits each; a row goes when its code is used.
create table recovery_codes (
    user_id text not null references users (id) on delete cascade,
    digest text not null,
    primary key (user_id, digest)
);

alter table workspaces add column require_totp boolean not null default false;
alter table workspaces add column version bigint not null default 1;

-- Sessions that were there before are asked again before anything dangerous.
alter table sessions add column verified_at bigint not null default 0;

-- Networks that somebody signed in from: attempts from there are counted apart from those of strangers.
create table known_networks (
    user_id text not null references users (id) on delete cascade,
    network text not null,
    used_at bigint not null,
    primary key (user_id, network)
);

-- What must not be forgotten of attempts to sign in, by address ("network") and by account (digest of its name).
create table sign_in_attempts (
    kind text not null,
    name text not null,
    window_start bigint not null,
    attempts bigint not null,
    delay_ms bigint not null,
    blocked_until bigint not null,
    last_at bigint not null,
    primary key (kind, name)
);
create index sign_in_attempts_by_age on sign_in_attempts (last_at);
