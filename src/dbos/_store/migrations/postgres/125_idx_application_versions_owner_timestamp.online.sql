create index {concurrently} if not exists idx_application_versions_owner_timestamp
    on {schema}.application_versions (application_name, version_timestamp desc);
