create table if not exists application_versions (
    version_id        text not null primary key,
    version_name      text not null unique,
    version_timestamp integer not null default (cast((julianday('now') - 2440587.5) * 86400000.0 + 0.5 as integer)),
    created_at        integer not null default (cast((julianday('now') - 2440587.5) * 86400000.0 + 0.5 as integer))
);
