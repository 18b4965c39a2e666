-- People as identity providers know them. An account that was made by one has no password: its password_hash is empty.
create table identities (
    id text primary key,
    user_id text not null references users (id) on delete cascade,
    -- What the provider was called in the settings when it last said who this is.
    provider text not null,
    issuer text not null,
    subject text not null,
    -- For people: an address or a name, as the provider wrote it.
    hint text not null,
    -- Whether the settings take its sign-in for both factors.
    both_factors boolean not null,
    created_at bigint not null,
    last_used_at bigint not null,
    unique (issuer, subject)
);
create index identities_by_user on identities (user_id, id);

-- What gave a grant beside people: "oidc/<provider>" for a group of it. Null: somebody did.
alter table grants add column source text;
