drop function if exists {schema}.enqueue_workflow(
    text, text, json[], json, text, text, text, text, bigint, bigint, text, integer, text
);

create or replace function {schema}.enqueue_workflow(
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
    delay_until_epoch_ms bigint default null
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
            authenticated_user, authenticated_roles, delay_until_epoch_ms, inputs, serialization,
            recovery_attempts, owner_xid, created_at, updated_at
        ) values (
            new_id, case when enqueue_workflow.delay_until_epoch_ms is null then 'ENQUEUED' else 'DELAYED' end,
            enqueue_workflow.workflow_name, enqueue_workflow.class_name, enqueue_workflow.config_name,
            enqueue_workflow.queue_name, enqueue_workflow.queue_partition_key,
            enqueue_workflow.deduplication_id, coalesce(enqueue_workflow.priority, 0),
            enqueue_workflow.app_version, enqueue_workflow.timeout_ms, enqueue_workflow.deadline_epoch_ms,
            enqueue_workflow.authenticated_user, enqueue_workflow.authenticated_roles,
            enqueue_workflow.delay_until_epoch_ms, arguments, 'portable_json', 0, gen_random_uuid()::text,
            now_ms, now_ms
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

    return new_id;
end
{body};
