create or replace function {schema}.notifications_function() returns trigger language plpgsql as {body}
begin
    perform pg_catalog.pg_notify('dbos_notifications_channel', new.destination_uuid || '::' || new.topic);
    return new;
end
{body};

drop trigger if exists dbos_notifications_trigger on {schema}.notifications;

create trigger dbos_notifications_trigger after insert on {schema}.notifications
    for each row execute function {schema}.notifications_function();

create or replace function {schema}.workflow_events_function() returns trigger language plpgsql as {body}
begin
    perform pg_catalog.pg_notify('dbos_workflow_events_channel', new.workflow_uuid || '::' || new.key);
    return new;
end
{body};

drop trigger if exists dbos_workflow_events_trigger on {schema}.workflow_events;

create trigger dbos_workflow_events_trigger after insert on {schema}.workflow_events
    for each row execute function {schema}.workflow_events_function();
