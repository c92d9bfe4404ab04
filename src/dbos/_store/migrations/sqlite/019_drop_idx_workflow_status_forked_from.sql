drop index if exists idx_workflow_status_forked_from;
