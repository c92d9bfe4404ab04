alter table {schema}.application_versions add column if not exists application_name text default null;
