create index {concurrently} if not exists idx_workflow_status_in_flight_v2
    on {schema}.workflow_status (queue_name, status, priority, created_at) include (application_name)
    where status in ('ENQUEUED', 'PENDING');
