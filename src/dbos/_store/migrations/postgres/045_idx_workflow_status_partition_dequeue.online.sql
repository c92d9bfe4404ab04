create index {concurrently} if not exists idx_workflow_status_partition_dequeue
    on {schema}.workflow_status (queue_name, status, queue_partition_key, priority, created_at)
    where status in ('ENQUEUED', 'PENDING') and queue_partition_key is not null;
