-- SQLite cannot add a column with a computed default: 112 gives it one.
alter table operation_outputs add column retention_timestamp integer;
