create index {concurrently} if not exists idx_workflow_status_pending
    on {schema}.workflow_status (created_at)
    where status = 'PENDING';
