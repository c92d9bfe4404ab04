alter table workflow_status add column completed_at bigint;

create index if not exists idx_workflow_status_completed_at
    on workflow_status (completed_at)
    where completed_at is not null;
