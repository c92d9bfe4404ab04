alter table {schema}.queues add column if not exists application_name text default null;
