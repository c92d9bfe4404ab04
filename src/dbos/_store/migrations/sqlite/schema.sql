-- The newest schema whole, for a database that is still empty. Running the numbered migrations gives the same.

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
    priority                   integer not null default 0,
    queue_partition_key        text,
    forked_from                text,
    owner_xid                  text default null,
    parent_workflow_id         text default null,
    serialization              text default null,
    delay_until_epoch_ms       bigint default null,
    was_forked_from            boolean not null default false,
    rate_limited               boolean not null default false,
    completed_at               bigint,
    attributes                 text,
    schedule_name              text,
    debounce_deadline_epoch_ms bigint default null,
    is_debounced               boolean not null default false,
    application_name           text default null,
    creator_xid                text default null
);

create index workflow_status_created_at_index on workflow_status (created_at);

create index idx_workflow_status_delayed on workflow_status (delay_until_epoch_ms)
    where status = 'DELAYED';

create index idx_workflow_status_forked_from on workflow_status (forked_from)
    where forked_from is not null;

create index idx_workflow_status_parent_workflow_id on workflow_status (parent_workflow_id)
    where parent_workflow_id is not null;

create unique index uq_workflow_status_dedup_id on workflow_status (queue_name, deduplication_id)
    where deduplication_id is not null;

create index idx_workflow_status_pending on workflow_status (created_at)
    where status = 'PENDING';

create index idx_workflow_status_failed on workflow_status (status, created_at)
    where status in ('ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED');

create index idx_workflow_status_rate_limited on workflow_status (queue_name, started_at_epoch_ms)
    where rate_limited = true;

create index idx_workflow_status_completed_at on workflow_status (completed_at)
    where completed_at is not null;

create index idx_workflow_status_started_at on workflow_status (started_at_epoch_ms)
    where started_at_epoch_ms is not null;

create index idx_workflow_status_schedule_name on workflow_status (schedule_name)
    where schedule_name is not null;

create index idx_workflow_status_in_flight_v2
    on workflow_status (queue_name, status, priority, created_at, application_name)
    where status in ('ENQUEUED', 'PENDING');

create index idx_workflow_status_partition_dequeue_v3
    on workflow_status (queue_name, status, queue_partition_key, priority, created_at, workflow_uuid, application_name)
    where status in ('ENQUEUED', 'PENDING') and queue_partition_key is not null;

create index idx_workflow_status_deadline on workflow_status (workflow_deadline_epoch_ms)
    where status in ('ENQUEUED', 'PENDING', 'DELAYED') and workflow_deadline_epoch_ms is not null;

create table workflow_input (
    workflow_uuid       text not null primary key,
    inputs              text,
    retention_timestamp integer not null default (cast((julianday('now') - 2440587.5) * 86400000.0 + 0.5 as integer))
);

create index idx_workflow_input_retention on workflow_input (retention_timestamp);

create table workflow_output (
    workflow_uuid       text not null primary key,
    output              text,
    error               text,
    retention_timestamp integer not null default (cast((julianday('now') - 2440587.5) * 86400000.0 + 0.5 as integer))
);

create index idx_workflow_output_retention on workflow_output (retention_timestamp);

create table operation_outputs (
    workflow_uuid         text not null,
    function_id           integer not null,
    function_name         text not null default '',
    output                text,
    error                 text,
    child_workflow_id     text,
    started_at_epoch_ms   integer,
    completed_at_epoch_ms integer,
    serialization         text default null,
    application_name      text default null,
    retention_timestamp   integer not null
        default (cast((julianday('now') - 2440587.5) * 86400000.0 + 0.5 as integer)),
    primary key (workflow_uuid, function_id)
);

create index idx_operation_outputs_retention on operation_outputs (retention_timestamp);

create index idx_operation_outputs_completed_at_function_name_v2
    on operation_outputs (completed_at_epoch_ms, function_name, application_name);

create table notifications (
    message_uuid            text not null default (hex(randomblob(16))) primary key,
    destination_uuid        text not null
        references workflow_status (workflow_uuid) on update cascade on delete cascade,
    topic                   text,
    message                 text not null,
    created_at_epoch_ms     integer not null
        default (cast((julianday('now') - 2440587.5) * 86400000.0 + 0.5 as integer)),
    serialization           text default null,
    consumed                boolean not null default false,
    consumed_by_function_id integer
);

create index idx_workflow_topic on notifications (destination_uuid, topic);

create table workflow_events (
    workflow_uuid text not null
        references workflow_status (workflow_uuid) on update cascade on delete cascade,
    key           text not null,
    value         text not null,
    serialization text default null,
    primary key (workflow_uuid, key)
);

create table workflow_events_history (
    workflow_uuid text not null
        references workflow_status (workflow_uuid) on update cascade on delete cascade,
    function_id   integer not null,
    key           text not null,
    value         text not null,
    serialization text default null,
    primary key (workflow_uuid, function_id, key)
);

create table streams (
    workflow_uuid text not null
        references workflow_status (workflow_uuid) on update cascade on delete cascade,
    key           text not null,
    value         text not null,
    "offset"      integer not null,
    function_id   integer not null default 0,
    serialization text default null,
    primary key (workflow_uuid, key, "offset")
);

create table workflow_schedules (
    schedule_id         text primary key,
    schedule_name       text not null unique,
    workflow_name       text not null,
    workflow_class_name text,
    schedule            text not null,
    status              text not null default 'ACTIVE',
    context             text not null,
    last_fired_at       text default null,
    automatic_backfill  boolean not null default false,
    cron_timezone       text default null,
    queue_name          text default null,
    application_name    text default null
);

create table application_versions (
    version_id        text not null primary key,
    version_name      text not null unique,
    version_timestamp integer not null default (cast((julianday('now') - 2440587.5) * 86400000.0 + 0.5 as integer)),
    created_at        integer not null default (cast((julianday('now') - 2440587.5) * 86400000.0 + 0.5 as integer)),
    application_name  text default null
);

create unique index uq_application_versions_owner_version on application_versions (application_name, version_name)
    where application_name is not null;

create unique index uq_application_versions_unclaimed_version on application_versions (version_name)
    where application_name is null;

create index idx_application_versions_timestamp on application_versions (version_timestamp desc);

create index idx_application_versions_owner_timestamp
    on application_versions (application_name, version_timestamp desc);

create table queues (
    queue_id                        text default (hex(randomblob(16))) primary key,
    name                            text not null unique,
    concurrency                     integer,
    worker_concurrency              integer,
    rate_limit_max                  integer,
    rate_limit_period_sec           real,
    priority_enabled                boolean not null default false,
    partition_queue                 boolean not null default false,
    polling_interval_sec            real not null default 1.0,
    created_at                      integer not null
        default (cast((julianday('now') - 2440587.5) * 86400000.0 + 0.5 as integer)),
    updated_at                      integer not null
        default (cast((julianday('now') - 2440587.5) * 86400000.0 + 0.5 as integer)),
    application_name                text default null,
    partition_concurrency           integer default null,
    partition_worker_concurrency    integer default null,
    partition_rate_limit_max        integer default null,
    partition_rate_limit_period_sec real default null
);
