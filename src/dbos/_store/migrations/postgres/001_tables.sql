create table if not exists {schema}.workflow_status (
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
    created_at                 bigint not null default (extract(epoch from now()) * 1000.0)::bigint,
    updated_at                 bigint not null default (extract(epoch from now()) * 1000.0)::bigint,
    application_version        text,
    application_id             text,
    class_name                 varchar(255) default null,
    config_name                varchar(255) default null,
    recovery_attempts          bigint default 0,
    queue_name                 text,
    workflow_timeout_ms        bigint,
    workflow_deadline_epoch_ms bigint,
    inputs                     text,
    started_at_epoch_ms        bigint,
    deduplication_id           text,
    priority                   integer not null default 0,
    constraint uq_workflow_status_queue_name_dedup_id unique (queue_name, deduplication_id)
);

create index if not exists workflow_status_created_at_index on {schema}.workflow_status (created_at);

create index if not exists workflow_status_executor_id_index on {schema}.workflow_status (executor_id);

create index if not exists workflow_status_status_index on {schema}.workflow_status (status);

create table if not exists {schema}.operation_outputs (
    workflow_uuid     text not null
        references {schema}.workflow_status (workflow_uuid) on update cascade on delete cascade,
    function_id       integer not null,
    function_name     text not null default '',
    output            text,
    error             text,
    child_workflow_id text,
    primary key (workflow_uuid, function_id)
);

create table if not exists {schema}.notifications (
    message_uuid        text not null default gen_random_uuid() primary key,
    destination_uuid    text not null
        references {schema}.workflow_status (workflow_uuid) on update cascade on delete cascade,
    topic               text,
    message             text not null,
    created_at_epoch_ms bigint not null default (extract(epoch from now()) * 1000.0)::bigint
);

create index if not exists idx_workflow_topic on {schema}.notifications (destination_uuid, topic);

create table if not exists {schema}.workflow_events (
    workflow_uuid text not null
        references {schema}.workflow_status (workflow_uuid) on update cascade on delete cascade,
    key           text not null,
    value         text not null,
    primary key (workflow_uuid, key)
);

create table if not exists {schema}.streams (
    workflow_uuid text not null
        references {schema}.workflow_status (workflow_uuid) on update cascade on delete cascade,
    key           text not null,
    value         text not null,
    "offset"      integer not null,
    primary key (workflow_uuid, key, "offset")
);

create table if not exists {schema}.event_dispatch_kv (
    service_name     text not null,
    workflow_fn_name text not null,
    key              text not null,
    value            text,
    update_seq       numeric(38, 0),
    update_time      numeric(38, 15),
    primary key (service_name, workflow_fn_name, key)
);
