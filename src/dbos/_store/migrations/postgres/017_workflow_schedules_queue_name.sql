alter table {schema}.workflow_schedules add column if not exists queue_name text default null;
