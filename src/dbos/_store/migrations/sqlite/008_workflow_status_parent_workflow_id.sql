alter table workflow_status add column parent_workflow_id text default null;

create index if not exists idx_workflow_status_parent_workflow_id on workflow_status (parent_workflow_id);
