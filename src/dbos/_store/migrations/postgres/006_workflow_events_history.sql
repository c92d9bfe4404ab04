create table if not exists {schema}.workflow_events_history (
    workflow_uuid text not null
        references {schema}.workflow_status (workflow_uuid) on update cascade on delete cascade,
    function_id   integer not null,
    key           text not null,
    value         text not null,
    primary key (workflow_uuid, function_id, key)
);

alter table {schema}.streams add column if not exists function_id integer not null default 0;
