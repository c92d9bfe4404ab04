alter table {schema}.notifications add column if not exists consumed_by_function_id integer;
