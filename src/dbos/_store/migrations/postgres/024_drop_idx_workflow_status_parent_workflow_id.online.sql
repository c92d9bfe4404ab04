drop index {concurrently} if exists {schema}.idx_workflow_status_parent_workflow_id;
