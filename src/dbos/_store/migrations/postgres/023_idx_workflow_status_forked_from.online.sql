create index {concurrently} if not exists idx_workflow_status_forked_from
    on {schema}.workflow_status (forked_from)
    where forked_from is not null;
