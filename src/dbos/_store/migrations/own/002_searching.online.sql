create index if not exists idx_indie_workflow_status_name on {workflow_status} (name, created_at);
create index if not exists idx_indie_workflow_status_user on {workflow_status} (authenticated_user, created_at)
    where authenticated_user is not null;
