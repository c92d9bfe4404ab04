alter table workflow_status add column attributes text;
