create index if not exists idx_application_versions_timestamp
    on application_versions (version_timestamp desc);
