alter table {schema}.workflow_schedules add column if not exists application_name text default null;
