create function {schema}.notifications_function() returns trigger language plpgsql {pin} as {body}
begin
    perform pg_catalog.pg_notify('dbos_notifications_channel', new.destination_uuid || '::' || new.topic);
    return new;
end
{body};

create trigger dbos_notifications_trigger after insert on {schema}.notifications
    for each row execute function {schema}.notifications_function();
