alter table {schema}.operation_outputs
    add column if not exists retention_timestamp bigint not null default (extract(epoch from now()) * 1000.0)::bigint;
