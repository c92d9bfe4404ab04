create table if not exists workflow_schedules (
    schedule_id         text primary key,
    schedule_name       text not null unique,
    workflow_name       text not null,
    workflow_class_name text,
    schedule            text not null,
    status              text not null default 'ACTIVE',
    context             text not null
);
