alter table {schema}.workflow_status add column if not exists parent_workflow_id text default null;

create index if not exists idx_workflow_status_parent_workflow_id on {schema}.workflow_status (parent_workflow_id);
