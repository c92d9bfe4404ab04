create index if not exists idx_workflow_status_in_flight_v2
    on workflow_status (queue_name, status, priority, created_at, application_name)
    where status in ('ENQUEUED', 'PENDING');
