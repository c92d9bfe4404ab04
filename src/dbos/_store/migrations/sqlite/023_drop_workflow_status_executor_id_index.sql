drop index if exists workflow_status_executor_id_index;
