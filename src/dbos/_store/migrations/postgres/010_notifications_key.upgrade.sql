do {body}
begin
    alter table {schema}.notifications add primary key (message_uuid);
exception when invalid_table_definition then
    null;  -- it has one already
end
{body};
