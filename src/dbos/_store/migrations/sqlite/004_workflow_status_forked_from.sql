alter table workflow_status add column forked_from text;

create index if not exists idx_workflow_status_forked_from on workflow_status (forked_from);
