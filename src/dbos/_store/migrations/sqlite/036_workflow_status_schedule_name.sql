alter table workflow_status add column schedule_name text;

create index if not exists idx_workflow_status_schedule_name
    on workflow_status (schedule_name)
    where schedule_name is not null;
