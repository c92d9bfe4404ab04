drop index {concurrently} if exists {schema}.idx_workflow_status_partition_dequeue_v2;
