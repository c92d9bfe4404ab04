alter table operation_outputs add column started_at_epoch_ms bigint;
alter table operation_outputs add column completed_at_epoch_ms bigint;
