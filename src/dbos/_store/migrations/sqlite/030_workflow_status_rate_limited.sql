alter table workflow_status add column rate_limited boolean not null default false;
