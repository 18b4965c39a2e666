-- Passkeys: keys that people's devices keep, which sign in alone or as a second factor.
create table passkeys (
    id text primary key,
    user_id text not null references users (id) on delete cascade,
    -- What the device calls it, in base64url: no two accounts share one.
    credential_id text not null unique,
    name text not null,
    -- JSON in a form of the hub's own: the public key, and how the device can be reached.
    record text not null,
    -- The highest count of signatures that was seen; 0 where the device does not count.
    sign_count bigint not null,
    -- Whether the device may copy it elsewhere, and whether it did.
    backup_eligible boolean not null,
    backed_up boolean not null,
    created_at bigint not null,
    last_used_at bigint
);
create index passkeys_by_user on passkeys (user_id, id);
