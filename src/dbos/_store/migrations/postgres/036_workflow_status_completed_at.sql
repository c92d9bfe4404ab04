alter table {schema}.workflow_status add column if not exists completed_at bigint;

create index if not exists idx_workflow_status_completed_at
    on {schema}.workflow_status (completed_at)
    where completed_at is not null;
