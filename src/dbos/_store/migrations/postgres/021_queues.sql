create table if not exists {schema}.queues (
    queue_id              text default gen_random_uuid()::text primary key,
    name                  text not null unique,
    concurrency           integer,
    worker_concurrency    integer,
    rate_limit_max        integer,
    rate_limit_period_sec double precision,
    priority_enabled      boolean not null default false,
    partition_queue       boolean not null default false,
    polling_interval_sec  double precision not null default 1.0,
    created_at            bigint not null default (extract(epoch from now()) * 1000.0)::bigint,
    updated_at            bigint not null default (extract(epoch from now()) * 1000.0)::bigint
);
