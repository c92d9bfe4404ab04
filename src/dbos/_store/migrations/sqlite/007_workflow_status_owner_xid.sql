alter table workflow_status add column owner_xid text default null;
