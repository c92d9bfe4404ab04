create unique index if not exists uq_application_versions_owner_version
    on application_versions (application_name, version_name)
    where application_name is not null;
