drop trigger if exists dbos_streams_trigger on {schema}.streams;

drop function if exists {schema}.streams_function();
