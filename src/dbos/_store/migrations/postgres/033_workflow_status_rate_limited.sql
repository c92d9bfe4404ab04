alter table {schema}.workflow_status add column if not exists rate_limited boolean not null default false;
