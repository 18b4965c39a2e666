-- Secret variables of a job as JSON: name to sealed value (the key lies outside the database). Erased when the job ends.
alter table jobs add column secrets text;
-- Bytes that the log of an ended job takes in the history store, and when it was removed to make room for newer ones.
alter table jobs add column log_stored bigint not null default 0;
alter table jobs add column log_removed_at bigint;
-- What counts towards the limit, oldest first; adding it up reads this and nothing else.
create index jobs_by_log on jobs (finished_at, log_stored) where finished_at is not null and log_stored > 0 and log_removed_at is null;
