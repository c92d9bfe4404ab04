drop index {concurrently} if exists {schema}.idx_operation_outputs_completed_at_function_name;
