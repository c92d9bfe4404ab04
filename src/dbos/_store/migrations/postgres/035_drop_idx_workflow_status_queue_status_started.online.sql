drop index {concurrently} if exists {schema}.idx_workflow_status_queue_status_started;
