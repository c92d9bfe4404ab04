alter table workflow_status add column queue_partition_key text;
