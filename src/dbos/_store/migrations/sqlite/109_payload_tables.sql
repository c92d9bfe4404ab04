create table if not exists workflow_input (
    workflow_uuid       text not null primary key,
    inputs              text,
    retention_timestamp integer not null default (cast((julianday('now') - 2440587.5) * 86400000.0 + 0.5 as integer))
);

create index if not exists idx_workflow_input_retention on workflow_input (retention_timestamp);

create table if not exists workflow_output (
    workflow_uuid       text not null primary key,
    output              text,
    error               text,
    retention_timestamp integer not null default (cast((julianday('now') - 2440587.5) * 86400000.0 + 0.5 as integer))
);

create index if not exists idx_workflow_output_retention on workflow_output (retention_timestamp);
