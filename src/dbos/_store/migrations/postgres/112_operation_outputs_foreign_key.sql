alter table {schema}.operation_outputs
    drop constraint if exists operation_outputs_workflow_uuid_fkey,
    drop constraint if exists operation_outputs_workflow_uuid_foreign;
