drop index {concurrently} if exists {schema}.workflow_status_status_index;
