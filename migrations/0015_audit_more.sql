-- How a record is hashed. 1: all of it as it stands. 2: what may have to be removed some day counts by `sealed`, a digest
-- with `salt`; without the salt nobody can try out what had stood there.
alter table audit add column form bigint not null default 1;
alter table audit add column salt text;
alter table audit add column sealed text;
alter table audit add column redacted_at bigint;
-- What people search for, folded. Not part of the chain.
alter table audit add column search_key text not null default '';
update audit set search_key = lower(action || ' ' || actor_name || ' ' || subject_name);

-- Where the chain begins since old records were removed: at most one row, signed with the hub's key.
create table audit_checkpoint (
    name text primary key,
    signed text not null
);
