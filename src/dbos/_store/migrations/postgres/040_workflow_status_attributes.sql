alter table {schema}.workflow_status add column if not exists attributes jsonb;

create index if not exists idx_workflow_status_attributes
    on {schema}.workflow_status using gin (attributes)
    where attributes is not null;
