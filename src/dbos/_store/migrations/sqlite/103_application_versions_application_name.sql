alter table application_versions add column application_name text default null;
