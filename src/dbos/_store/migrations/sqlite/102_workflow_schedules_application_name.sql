alter table workflow_schedules add column application_name text default null;
