alter table {schema}.workflow_status add column if not exists serialization text default null;
alter table {schema}.notifications add column if not exists serialization text default null;
alter table {schema}.workflow_events add column if not exists serialization text default null;
alter table {schema}.workflow_events_history add column if not exists serialization text default null;
alter table {schema}.operation_outputs add column if not exists serialization text default null;
alter table {schema}.streams add column if not exists serialization text default null;
