alter table workflow_status add column creator_xid text default null;
