drop index {concurrently} if exists {schema}.idx_workflow_status_forked_from;
