create table operation_outputs_rebuilt (
    workflow_uuid         text not null,
    function_id           integer not null,
    function_name         text not null default '',
    output                text,
    error                 text,
    child_workflow_id     text,
    started_at_epoch_ms   integer,
    completed_at_epoch_ms integer,
    serialization         text,
    application_name      text default null,
    retention_timestamp   integer not null
        default (cast((julianday('now') - 2440587.5) * 86400000.0 + 0.5 as integer)),
    primary key (workflow_uuid, function_id)
);

insert into operation_outputs_rebuilt (
    workflow_uuid, function_id, function_name, output, error, child_workflow_id, started_at_epoch_ms,
    completed_at_epoch_ms, serialization, application_name, retention_timestamp
)
select workflow_uuid, function_id, function_name, output, error, child_workflow_id, started_at_epoch_ms,
       completed_at_epoch_ms, serialization, application_name,
       coalesce(retention_timestamp, (cast((julianday('now') - 2440587.5) * 86400000.0 + 0.5 as integer)))
  from operation_outputs;

drop table operation_outputs;

alter table operation_outputs_rebuilt rename to operation_outputs;

create index idx_operation_outputs_completed_at_function_name
    on operation_outputs (completed_at_epoch_ms, function_name);

create index idx_operation_outputs_retention on operation_outputs (retention_timestamp);
