create index {concurrently} if not exists idx_workflow_status_started_at
    on {schema}.workflow_status (started_at_epoch_ms)
    where started_at_epoch_ms is not null;
