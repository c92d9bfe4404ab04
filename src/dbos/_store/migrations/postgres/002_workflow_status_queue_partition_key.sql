alter table {schema}.workflow_status add column if not exists queue_partition_key text;
