create unique index if not exists uq_application_versions_unclaimed_version
    on application_versions (version_name)
    where application_name is null;
