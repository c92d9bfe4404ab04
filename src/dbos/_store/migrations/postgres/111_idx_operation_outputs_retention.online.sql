create index {concurrently} if not exists idx_operation_outputs_retention
    on {schema}.operation_outputs (retention_timestamp);
