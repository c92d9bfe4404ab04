create unique index {concurrently} if not exists uq_application_versions_unclaimed_version
    on {schema}.application_versions (version_name)
    where application_name is null;
