drop index {concurrently} if exists {schema}.workflow_status_executor_id_index;
