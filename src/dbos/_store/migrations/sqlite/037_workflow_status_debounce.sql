alter table workflow_status add column debounce_deadline_epoch_ms bigint default null;
alter table workflow_status add column is_debounced boolean not null default false;
