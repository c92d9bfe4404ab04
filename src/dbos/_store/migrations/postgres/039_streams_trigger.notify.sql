create or replace function {schema}.streams_function() returns trigger language plpgsql {pin} as {body}
begin
    perform pg_catalog.pg_notify('dbos_streams_channel', new.workflow_uuid || '::' || new.key);
    return new;
end
{body};

drop trigger if exists dbos_streams_trigger on {schema}.streams;

create trigger dbos_streams_trigger after insert on {schema}.streams
    for each row execute function {schema}.streams_function();
