create table if not exists {schema}.application_versions (
    version_id        text not null primary key,
    version_name      text not null unique,
    version_timestamp bigint not null default (extract(epoch from now()) * 1000.0)::bigint,
    created_at        bigint not null default (extract(epoch from now()) * 1000.0)::bigint
);
