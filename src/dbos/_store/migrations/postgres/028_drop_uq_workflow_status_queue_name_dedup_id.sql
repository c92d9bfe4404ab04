alter table {schema}.workflow_status drop constraint if exists uq_workflow_status_queue_name_dedup_id;
