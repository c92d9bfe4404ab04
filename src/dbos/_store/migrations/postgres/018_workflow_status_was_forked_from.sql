alter table {schema}.workflow_status add column if not exists was_forked_from boolean not null default false;
