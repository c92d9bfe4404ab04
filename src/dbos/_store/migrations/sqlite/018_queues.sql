create table if not exists queues (
    queue_id              text default (hex(randomblob(16))) primary key,
    name                  text not null unique,
    concurrency           integer,
    worker_concurrency    integer,
    rate_limit_max        integer,
    rate_limit_period_sec real,
    priority_enabled      boolean not null default false,
    partition_queue       boolean not null default false,
    polling_interval_sec  real not null default 1.0,
    created_at            integer not null default (cast((julianday('now') - 2440587.5) * 86400000.0 + 0.5 as integer)),
    updated_at            integer not null default (cast((julianday('now') - 2440587.5) * 86400000.0 + 0.5 as integer))
);
