drop index if exists idx_workflow_status_in_flight;
