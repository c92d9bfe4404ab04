alter function {schema}.notifications_function() {pin};

alter function {schema}.workflow_events_function() {pin};
