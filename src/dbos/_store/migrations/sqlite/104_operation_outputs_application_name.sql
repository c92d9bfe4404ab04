alter table operation_outputs add column application_name text default null;
