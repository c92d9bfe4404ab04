alter table {schema}.workflow_status
    add column if not exists debounce_deadline_epoch_ms bigint default null,
    add column if not exists is_debounced boolean not null default false;
