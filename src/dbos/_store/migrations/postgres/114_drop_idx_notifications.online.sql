drop index {concurrently} if exists {schema}.idx_notifications;
