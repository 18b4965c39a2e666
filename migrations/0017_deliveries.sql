-- What the hub tells others by itself: mail, and webhooks that somebody wished for. A delivery is written in the
-- transaction of the change that it tells of.
create table outgoing_webhooks (
    id text primary key,
    workspace_id text not null references workspaces (id) on delete cascade,
    name text not null,
    url text not null,
    -- JSON list of patterns: "*", "area.*", "area.verb".
    events text not null,
    enabled boolean not null,
    allow_private boolean not null,
    -- Sealed with the key in the keys directory, bound to the webhook.
    sealed_secret text not null,
    -- The one before the last rotation, which signs as well until then.
    sealed_old_secret text,
    old_secret_until bigint,
    created_at bigint not null,
    created_by text not null,
    -- Since when nothing but failures; null: the last attempt went well, or there was none.
    failing_since bigint,
    disabled_reason text,
    -- Events that were left out because too many waited.
    missed bigint not null,
    version bigint not null
);
create index outgoing_webhooks_by_workspace on outgoing_webhooks (workspace_id, id);

create table deliveries (
    id text primary key,
    -- Null: mail that belongs to no workspace.
    workspace_id text references workspaces (id) on delete cascade,
    channel text not null,
    -- What may be busy: the id of the webhook, or "mail".
    destination text not null,
    webhook_id text references outgoing_webhooks (id) on delete cascade,
    -- As it is shown: the host of the URL, the masked address.
    recipient text not null,
    event text not null,
    subject text not null,
    -- Of webhooks the body; of mail the letter, sealed, until it has arrived.
    payload text,
    state text not null,
    attempts bigint not null,
    -- JSON list of the newest attempts.
    attempts_made text not null,
    next_attempt_at bigint,
    -- Somebody is at it until then.
    leased_until bigint,
    created_at bigint not null,
    -- When it was last put into the queue; after a day in vain it fails.
    waiting_since bigint not null,
    finished_at bigint
);
create index deliveries_by_workspace on deliveries (workspace_id, id);
create index deliveries_due on deliveries (next_attempt_at) where state = 'waiting';
create index deliveries_by_webhook on deliveries (webhook_id, state, id);
create index deliveries_by_age on deliveries (finished_at);

-- Links that were mailed to people who forgot their password. Single use; only digests.
create table password_resets (
    token_digest text primary key,
    user_id text not null references users (id) on delete cascade,
    created_at bigint not null,
    expires_at bigint not null
);
create index password_resets_by_user on password_resets (user_id);
