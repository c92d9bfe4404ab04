create index if not exists idx_workflow_status_parent_workflow_id
    on workflow_status (parent_workflow_id)
    where parent_workflow_id is not null;
