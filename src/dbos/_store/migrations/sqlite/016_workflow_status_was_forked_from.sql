alter table workflow_status add column was_forked_from boolean not null default false;
