-- Links that were mailed to addresses that people want to sign in with. Single use; only digests. One for each person.
create table email_changes (
    token_digest text primary key,
    user_id text not null unique references users (id) on delete cascade,
    -- The session that asked, which goes on when the others end. It may be gone.
    session_id text not null,
    email text not null,
    created_at bigint not null,
    expires_at bigint not null
);
create index email_changes_by_age on email_changes (expires_at);

-- Whose account a letter is about, to limit how many there are in a day. Null: nobody's, or not counted.
alter table deliveries add column person text;
create index deliveries_by_person on deliveries (person, id) where person is not null;
