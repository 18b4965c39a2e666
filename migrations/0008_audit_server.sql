-- What was done on a server, whatever it was done to.
alter table audit add column server_id text;
create index audit_by_server on audit (workspace_id, server_id, id);
