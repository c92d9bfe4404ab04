create unique index if not exists uq_workflow_status_dedup_id
    on workflow_status (queue_name, deduplication_id)
    where deduplication_id is not null;
