alter table {schema}.workflow_status add column if not exists creator_xid text default null;
