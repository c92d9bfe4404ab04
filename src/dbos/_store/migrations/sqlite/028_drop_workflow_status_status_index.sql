drop index if exists workflow_status_status_index;
