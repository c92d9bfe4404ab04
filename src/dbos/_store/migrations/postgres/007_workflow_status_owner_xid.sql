alter table {schema}.workflow_status add column if not exists owner_xid text default null;
