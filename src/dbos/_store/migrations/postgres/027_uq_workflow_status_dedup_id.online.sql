create unique index {concurrently} if not exists uq_workflow_status_dedup_id
    on {schema}.workflow_status (queue_name, deduplication_id)
    where deduplication_id is not null;
