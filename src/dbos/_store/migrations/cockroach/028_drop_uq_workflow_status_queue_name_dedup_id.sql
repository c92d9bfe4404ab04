drop index if exists {schema}.uq_workflow_status_queue_name_dedup_id cascade;
