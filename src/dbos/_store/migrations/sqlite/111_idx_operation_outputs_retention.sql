create index if not exists idx_operation_outputs_retention
    on operation_outputs (retention_timestamp);
