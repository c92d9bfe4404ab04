drop index if exists idx_notifications;
