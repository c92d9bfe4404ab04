alter table queues add column application_name text default null;
