alter table {schema}.workflow_schedules
    add column if not exists last_fired_at text default null,
    add column if not exists automatic_backfill boolean not null default false,
    add column if not exists cron_timezone text default null;
