alter table queues add column partition_concurrency integer default null;
alter table queues add column partition_worker_concurrency integer default null;
alter table queues add column partition_rate_limit_max integer default null;
alter table queues add column partition_rate_limit_period_sec real default null;
