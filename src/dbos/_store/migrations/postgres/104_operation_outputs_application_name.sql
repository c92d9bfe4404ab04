alter table {schema}.operation_outputs add column if not exists application_name text default null;
