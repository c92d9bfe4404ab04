alter table workflow_status add column serialization text default null;
alter table notifications add column serialization text default null;
alter table workflow_events add column serialization text default null;
alter table workflow_events_history add column serialization text default null;
alter table operation_outputs add column serialization text default null;
alter table streams add column serialization text default null;
