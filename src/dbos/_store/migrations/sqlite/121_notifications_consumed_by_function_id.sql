alter table notifications add column consumed_by_function_id integer;
