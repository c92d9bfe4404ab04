alter table {schema}.notifications add column if not exists consumed boolean not null default false;

create index if not exists idx_notifications on {schema}.notifications (destination_uuid, topic);
