create index if not exists idx_workflow_status_rate_limited
    on workflow_status (queue_name, started_at_epoch_ms)
    where rate_limited = true;
