create index if not exists idx_workflow_status_deadline
    on workflow_status (workflow_deadline_epoch_ms)
    where status in ('ENQUEUED', 'PENDING', 'DELAYED') and workflow_deadline_epoch_ms is not null;
