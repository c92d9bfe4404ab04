alter table {schema}.operation_outputs
    add column if not exists started_at_epoch_ms bigint,
    add column if not exists completed_at_epoch_ms bigint;
