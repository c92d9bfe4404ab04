alter table workflow_schedules add column last_fired_at text default null;
alter table workflow_schedules add column automatic_backfill boolean not null default false;
alter table workflow_schedules add column cron_timezone text default null;
