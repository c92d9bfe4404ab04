alter table workflow_status add column application_name text default null;
