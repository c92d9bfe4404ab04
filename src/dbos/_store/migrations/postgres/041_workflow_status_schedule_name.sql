alter table {schema}.workflow_status add column if not exists schedule_name text;

create index if not exists idx_workflow_status_schedule_name
    on {schema}.workflow_status (schedule_name)
    where schedule_name is not null;
