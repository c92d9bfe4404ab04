create index {concurrently} if not exists idx_workflow_status_in_flight
    on {schema}.workflow_status (queue_name, status, priority, created_at)
    where status in ('ENQUEUED', 'PENDING');
