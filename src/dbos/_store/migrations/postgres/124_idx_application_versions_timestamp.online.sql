create index {concurrently} if not exists idx_application_versions_timestamp
    on {schema}.application_versions (version_timestamp desc);
