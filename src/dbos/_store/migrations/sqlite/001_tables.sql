create table workflow_status (
    workflow_uuid              text primary key,
    status                     text,
    name                       text,
    authenticated_user         text,
    assumed_role               text,
    authenticated_roles        text,
    request                    text,
    output                     text,
    error                      text,
    executor_id                text,
    created_at                 integer not null
        default (cast((julianday('now') - 2440587.5) * 86400000.0 + 0.5 as integer)),
    updated_at                 integer not null
        default (cast((julianday('now') - 2440587.5) * 86400000.0 + 0.5 as integer)),
    application_version        text,
    application_id             text,
    class_name                 text default null,
    config_name                text default null,
    recovery_attempts          integer default 0,
    queue_name                 text,
    workflow_timeout_ms        integer,
    workflow_deadline_epoch_ms integer,
    inputs                     text,
    started_at_epoch_ms        integer,
    deduplication_id           text,
    priority                   integer not null default 0
);

create index workflow_status_created_at_index on workflow_status (created_at);

create index workflow_status_executor_id_index on workflow_status (executor_id);

create index workflow_status_status_index on workflow_status (status);

create unique index uq_workflow_status_queue_name_dedup_id on workflow_status (queue_name, deduplication_id);

create table operation_outputs (
    workflow_uuid     text not null
        references workflow_status (workflow_uuid) on update cascade on delete cascade,
    function_id       integer not null,
    function_name     text not null default '',
    output            text,
    error             text,
    child_workflow_id text,
    primary key (workflow_uuid, function_id)
);

create table notifications (
    message_uuid        text not null default (hex(randomblob(16))) primary key,
    destination_uuid    text not null
        references workflow_status (workflow_uuid) on update cascade on delete cascade,
    topic               text,
    message             text not null,
    created_at_epoch_ms integer not null
        default (cast((julianday('now') - 2440587.5) * 86400000.0 + 0.5 as integer))
);

create index idx_workflow_topic on notifications (destination_uuid, topic);

create table workflow_events (
    workflow_uuid text not null
        references workflow_status (workflow_uuid) on update cascade on delete cascade,
    key           text not null,
    value         text not null,
    primary key (workflow_uuid, key)
);

create table streams (
    workflow_uuid text not null
        references workflow_status (workflow_uuid) on update cascade on delete cascade,
    key           text not null,
    value         text not null,
    "offset"      integer not null,
    primary key (workflow_uuid, key, "offset")
);
