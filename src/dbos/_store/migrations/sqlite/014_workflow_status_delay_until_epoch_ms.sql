alter table workflow_status add column delay_until_epoch_ms bigint default null;

create index if not exists idx_workflow_status_delayed
    on workflow_status (delay_until_epoch_ms)
    where status = 'DELAYED';
