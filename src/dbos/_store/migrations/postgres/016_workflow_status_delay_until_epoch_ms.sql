alter table {schema}.workflow_status add column if not exists delay_until_epoch_ms bigint default null;

create index if not exists idx_workflow_status_delayed
    on {schema}.workflow_status (delay_until_epoch_ms)
    where status = 'DELAYED';
