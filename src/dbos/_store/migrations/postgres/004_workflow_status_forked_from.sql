alter table {schema}.workflow_status add column if not exists forked_from text;

create index if not exists idx_workflow_status_forked_from on {schema}.workflow_status (forked_from);
