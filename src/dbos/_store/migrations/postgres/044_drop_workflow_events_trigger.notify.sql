drop trigger if exists dbos_workflow_events_trigger on {schema}.workflow_events;

drop function if exists {schema}.workflow_events_function();
