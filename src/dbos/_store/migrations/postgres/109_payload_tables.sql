create table if not exists {schema}.workflow_input (
    workflow_uuid       text not null primary key,
    inputs              text,
    retention_timestamp bigint not null default (extract(epoch from now()) * 1000.0)::bigint
);

create index if not exists idx_workflow_input_retention on {schema}.workflow_input (retention_timestamp);

create table if not exists {schema}.workflow_output (
    workflow_uuid       text not null primary key,
    output              text,
    error               text,
    retention_timestamp bigint not null default (extract(epoch from now()) * 1000.0)::bigint
);

create index if not exists idx_workflow_output_retention on {schema}.workflow_output (retention_timestamp);
