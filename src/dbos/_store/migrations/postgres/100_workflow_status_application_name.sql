alter table {schema}.workflow_status add column if not exists application_name text default null;
