create table if not exists {executors} (
    incarnation text not null primary key,
    executor_id text not null,
    application_name text,
    application_version text not null,
    host text not null,
    boot_id text not null,
    pid bigint not null,
    process_started text not null,
    started_at_epoch_ms bigint not null,
    heartbeat_at_epoch_ms bigint not null,
    expires_at_epoch_ms bigint not null,
    draining boolean not null
);
