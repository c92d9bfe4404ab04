alter table workflow_schedules add column queue_name text default null;
