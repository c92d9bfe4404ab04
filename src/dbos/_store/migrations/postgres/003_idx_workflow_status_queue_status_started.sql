create index if not exists idx_workflow_status_queue_status_started
    on {schema}.workflow_status (queue_name, status, started_at_epoch_ms);
