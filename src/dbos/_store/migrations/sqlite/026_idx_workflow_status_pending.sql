create index if not exists idx_workflow_status_pending
    on workflow_status (created_at)
    where status = 'PENDING';
