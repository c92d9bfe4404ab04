alter table {schema}.queues
    add column if not exists partition_concurrency integer default null,
    add column if not exists partition_worker_concurrency integer default null,
    add column if not exists partition_rate_limit_max integer default null,
    add column if not exists partition_rate_limit_period_sec double precision default null;
