alter table notifications add column consumed boolean not null default false;

create index if not exists idx_notifications on notifications (destination_uuid, topic);
