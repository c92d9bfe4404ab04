-- The newest schema whole, for a database that is still empty. Running the numbered migrations gives the same.

create table {schema}.workflow_status (
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
    queue_partition_key        text,
    forked_from                text,
    owner_xid                  text default null,
    parent_workflow_id         text default null,
    serialization              text default null,
    delay_until_epoch_ms       bigint default null,
    was_forked_from            boolean not null default false,
    rate_limited               boolean not null default false,
    completed_at               bigint,
    attributes                 jsonb,
    schedule_name              text,
    debounce_deadline_epoch_ms bigint default null,
    is_debounced               boolean not null default false,
    application_name           text default null,
    creator_xid                text default null
);

create index workflow_status_created_at_index on {schema}.workflow_status (created_at);

create index idx_workflow_status_delayed on {schema}.workflow_status (delay_until_epoch_ms)
    where status = 'DELAYED';

create index idx_workflow_status_forked_from on {schema}.workflow_status (forked_from)
    where forked_from is not null;

create index idx_workflow_status_parent_workflow_id on {schema}.workflow_status (parent_workflow_id)
    where parent_workflow_id is not null;

create unique index uq_workflow_status_dedup_id on {schema}.workflow_status (queue_name, deduplication_id)
    where deduplication_id is not null;

create index idx_workflow_status_pending on {schema}.workflow_status (created_at)
    where status = 'PENDING';

create index idx_workflow_status_failed on {schema}.workflow_status (status, created_at)
    where status in ('ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED');

create index idx_workflow_status_rate_limited on {schema}.workflow_status (queue_name, started_at_epoch_ms)
    where rate_limited = true;

create index idx_workflow_status_completed_at on {schema}.workflow_status (completed_at)
    where completed_at is not null;

create index idx_workflow_status_started_at on {schema}.workflow_status (started_at_epoch_ms)
    where started_at_epoch_ms is not null;

create index idx_workflow_status_attributes on {schema}.workflow_status using gin (attributes)
    where attributes is not null;

create index idx_workflow_status_schedule_name on {schema}.workflow_status (schedule_name)
    where schedule_name is not null;

create index idx_workflow_status_in_flight_v2
    on {schema}.workflow_status (queue_name, status, priority, created_at) include (application_name)
    where status in ('ENQUEUED', 'PENDING');

create index idx_workflow_status_partition_dequeue_v3
    on {schema}.workflow_status (queue_name, status, queue_partition_key, priority, created_at, workflow_uuid)
    include (application_name)
    where status in ('ENQUEUED', 'PENDING') and queue_partition_key is not null;

create index idx_workflow_status_deadline on {schema}.workflow_status (workflow_deadline_epoch_ms)
    where status in ('ENQUEUED', 'PENDING', 'DELAYED') and workflow_deadline_epoch_ms is not null;

create table {schema}.workflow_input (
    workflow_uuid       text not null primary key,
    inputs              text,
    retention_timestamp bigint not null default (extract(epoch from now()) * 1000.0)::bigint
);

create index idx_workflow_input_retention on {schema}.workflow_input (retention_timestamp);

create table {schema}.workflow_output (
    workflow_uuid       text not null primary key,
    output              text,
    error               text,
    retention_timestamp bigint not null default (extract(epoch from now()) * 1000.0)::bigint
);

create index idx_workflow_output_retention on {schema}.workflow_output (retention_timestamp);

create table {schema}.operation_outputs (
    workflow_uuid         text not null,
    function_id           integer not null,
    function_name         text not null default '',
    output                text,
    error                 text,
    child_workflow_id     text,
    started_at_epoch_ms   bigint,
    completed_at_epoch_ms bigint,
    serialization         text default null,
    application_name      text default null,
    retention_timestamp   bigint not null default (extract(epoch from now()) * 1000.0)::bigint,
    primary key (workflow_uuid, function_id)
);

create index idx_operation_outputs_retention on {schema}.operation_outputs (retention_timestamp);

create index idx_operation_outputs_completed_at_function_name_v2
    on {schema}.operation_outputs (completed_at_epoch_ms, function_name) include (application_name);

create table {schema}.notifications (
    message_uuid            text not null default gen_random_uuid() primary key,
    destination_uuid        text not null
        references {schema}.workflow_status (workflow_uuid) on update cascade on delete cascade,
    topic                   text,
    message                 text not null,
    created_at_epoch_ms     bigint not null default (extract(epoch from now()) * 1000.0)::bigint,
    serialization           text default null,
    consumed                boolean not null default false,
    consumed_by_function_id integer
);

create index idx_workflow_topic on {schema}.notifications (destination_uuid, topic);

create table {schema}.workflow_events (
    workflow_uuid text not null
        references {schema}.workflow_status (workflow_uuid) on update cascade on delete cascade,
    key           text not null,
    value         text not null,
    serialization text default null,
    primary key (workflow_uuid, key)
);

create table {schema}.workflow_events_history (
    workflow_uuid text not null
        references {schema}.workflow_status (workflow_uuid) on update cascade on delete cascade,
    function_id   integer not null,
    key           text not null,
    value         text not null,
    serialization text default null,
    primary key (workflow_uuid, function_id, key)
);

create table {schema}.streams (
    workflow_uuid text not null
        references {schema}.workflow_status (workflow_uuid) on update cascade on delete cascade,
    key           text not null,
    value         text not null,
    "offset"      integer not null,
    function_id   integer not null default 0,
    serialization text default null,
    primary key (workflow_uuid, key, "offset")
);

create table {schema}.workflow_schedules (
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

create table {schema}.application_versions (
    version_id        text not null primary key,
    version_name      text not null unique,
    version_timestamp bigint not null default (extract(epoch from now()) * 1000.0)::bigint,
    created_at        bigint not null default (extract(epoch from now()) * 1000.0)::bigint,
    application_name  text default null
);

create unique index uq_application_versions_owner_version
    on {schema}.application_versions (application_name, version_name)
    where application_name is not null;

create unique index uq_application_versions_unclaimed_version on {schema}.application_versions (version_name)
    where application_name is null;

create index idx_application_versions_timestamp on {schema}.application_versions (version_timestamp desc);

create index idx_application_versions_owner_timestamp
    on {schema}.application_versions (application_name, version_timestamp desc);

create table {schema}.queues (
    queue_id                        text default gen_random_uuid()::text primary key,
    name                            text not null unique,
    concurrency                     integer,
    worker_concurrency              integer,
    rate_limit_max                  integer,
    rate_limit_period_sec           double precision,
    priority_enabled                boolean not null default false,
    partition_queue                 boolean not null default false,
    polling_interval_sec            double precision not null default 1.0,
    created_at                      bigint not null default (extract(epoch from now()) * 1000.0)::bigint,
    updated_at                      bigint not null default (extract(epoch from now()) * 1000.0)::bigint,
    application_name                text default null,
    partition_concurrency           integer default null,
    partition_worker_concurrency    integer default null,
    partition_rate_limit_max        integer default null,
    partition_rate_limit_period_sec double precision default null
);

create table {schema}.event_dispatch_kv (
    service_name     text not null,
    workflow_fn_name text not null,
    key              text not null,
    value            text,
    update_seq       numeric(38, 0),
    update_time      numeric(38, 15),
    primary key (service_name, workflow_fn_name, key)
);

create function {schema}.enqueue_workflow(
    workflow_name text,
    queue_name text,
    positional_args json[] default array[]::json[],
    named_args json default '{}'::json,
    class_name text default null,
    config_name text default null,
    workflow_id text default null,
    app_version text default null,
    timeout_ms bigint default null,
    deadline_epoch_ms bigint default null,
    deduplication_id text default null,
    priority integer default null,
    queue_partition_key text default null,
    authenticated_user text default null,
    authenticated_roles text default null,
    delay_until_epoch_ms bigint default null,
    application_name text default null
) returns text language plpgsql {pin} as {body}
declare
    new_id    text   := coalesce(enqueue_workflow.workflow_id, gen_random_uuid()::text);
    now_ms    bigint := (extract(epoch from now()) * 1000.0)::bigint;
    arguments text   := json_build_object(
        'positionalArgs', enqueue_workflow.positional_args, 'namedArgs', enqueue_workflow.named_args
    )::text;
begin
    if coalesce(enqueue_workflow.workflow_name, '') = '' then
        raise exception 'Workflow name cannot be null or empty';
    end if;
    if coalesce(enqueue_workflow.queue_name, '') = '' then
        raise exception 'Queue name cannot be null or empty';
    end if;
    if json_typeof(enqueue_workflow.named_args) <> 'object' then
        raise exception 'Named args must be a JSON object';
    end if;
    if enqueue_workflow.workflow_id = '' then
        raise exception 'Workflow ID cannot be an empty string if provided.';
    end if;
    if enqueue_workflow.delay_until_epoch_ms < 0 then
        raise exception 'delay_until_epoch_ms must be >= 0';
    end if;

    begin
        insert into {schema}.workflow_status (
            workflow_uuid, status, name, class_name, config_name, queue_name, queue_partition_key,
            deduplication_id, priority, application_version, workflow_timeout_ms, workflow_deadline_epoch_ms,
            authenticated_user, authenticated_roles, delay_until_epoch_ms, application_name, serialization,
            recovery_attempts, owner_xid, created_at, updated_at
        ) values (
            new_id, case when enqueue_workflow.delay_until_epoch_ms is null then 'ENQUEUED' else 'DELAYED' end,
            enqueue_workflow.workflow_name, enqueue_workflow.class_name, enqueue_workflow.config_name,
            enqueue_workflow.queue_name, enqueue_workflow.queue_partition_key,
            enqueue_workflow.deduplication_id, coalesce(enqueue_workflow.priority, 0),
            enqueue_workflow.app_version, enqueue_workflow.timeout_ms, enqueue_workflow.deadline_epoch_ms,
            enqueue_workflow.authenticated_user, enqueue_workflow.authenticated_roles,
            enqueue_workflow.delay_until_epoch_ms, enqueue_workflow.application_name, 'portable_json', 0,
            gen_random_uuid()::text, now_ms, now_ms
        )
        on conflict (workflow_uuid) do update set updated_at = excluded.updated_at;
    exception when unique_violation then
        raise exception 'DBOS queue duplicated' using
            errcode = 'unique_violation',
            detail = format(
                'Workflow %s with queue %s and deduplication ID %s already exists',
                new_id, enqueue_workflow.queue_name, enqueue_workflow.deduplication_id
            );
    end;

    insert into {schema}.workflow_input (workflow_uuid, inputs, retention_timestamp)
        values (new_id, arguments, now_ms)
        on conflict (workflow_uuid) do nothing;

    return new_id;
end
{body};

create function {schema}.send_message(
    destination_id text,
    message json,
    topic text default null,
    message_id text default null
) returns void language plpgsql {pin} as {body}
begin
    insert into {schema}.notifications (message_uuid, destination_uuid, topic, message, serialization)
        values (
            coalesce(send_message.message_id, gen_random_uuid()::text), send_message.destination_id,
            coalesce(send_message.topic, '__null__topic__'), send_message.message::text, 'portable_json'
        )
        on conflict (message_uuid) do nothing;
exception when foreign_key_violation then
    raise exception 'DBOS non-existent workflow' using
        errcode = 'foreign_key_violation',
        detail = format('Destination workflow %s does not exist', send_message.destination_id);
end
{body};
