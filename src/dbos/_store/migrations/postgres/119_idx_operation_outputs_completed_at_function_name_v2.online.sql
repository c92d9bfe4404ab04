create index {concurrently} if not exists idx_operation_outputs_completed_at_function_name_v2
    on {schema}.operation_outputs (completed_at_epoch_ms, function_name) include (application_name);
