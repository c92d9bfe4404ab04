"""The `dbos` command. The only place that imports click."""
