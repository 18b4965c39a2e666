-- What the hub forbids itself on a server, and agent tokens that are being replaced.
alter table servers add column restrictions text;
-- Counts the changes of restrictions; a host takes only a higher number than it has.
alter table servers add column restrictions_seq bigint not null default 0;
-- Null for tokens from before this was written down: as old as the registration.
alter table servers add column token_issued_at bigint;
-- SHA-256 of the token that takes the place of the present one once the agent has connected with it.
alter table servers add column next_token_digest text;
alter table servers add column next_token_at bigint;
create unique index servers_by_next_token on servers (next_token_digest) where next_token_digest is not null;
