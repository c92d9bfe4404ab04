create table workflow_events_history (
    workflow_uuid text not null
        references workflow_status (workflow_uuid) on update cascade on delete cascade,
    function_id   integer not null,
    key           text not null,
    value         text not null,
    primary key (workflow_uuid, function_id, key)
);

alter table streams add column function_id integer not null default 0;
