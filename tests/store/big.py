"""A system database with a long history, made inside the database: fast enough for a test.

Knows the tables of chapter 4. How many workflows: `DBOS_TEST_PLAN_ROWS`, 100,000 unless it says otherwise.
"""

from __future__ import annotations

import os

ROWS = int(os.environ.get("DBOS_TEST_PLAN_ROWS", "100000"))
FIRST_MS = 1_700_000_000_000
STEP_MS = 2500  # between one workflow and the next

_STATUS = """
case when i % 200 = 11 then 'ERROR' when i % 500 = 13 then 'CANCELLED' when i % 1000 = 15 then 'ENQUEUED'
     when i % 3000 = 17 then 'PENDING' when i % 5000 = 19 then 'DELAYED' else 'SUCCESS' end
"""
_WORKFLOWS = f"""
insert into {{workflow_status}}
       (workflow_uuid, status, name, authenticated_user, executor_id, created_at, updated_at, application_version,
        recovery_attempts, queue_name, queue_partition_key, started_at_epoch_ms, completed_at, forked_from,
        was_forked_from, parent_workflow_id, schedule_name, application_name, attributes, delay_until_epoch_ms,
        owner_xid)
select 'wf-' || (1000000 + i * 7919 % {ROWS}) || '-' || i, status,
       case when i % 1000 = 7 then 'rare_workflow' else 'workflow_' || (i % 20) end,
       case when i % 2 = 0 then 'user_' || (i * 31 % 5000) end, 'executor_' || (i % 5),
       at_ms, at_ms + 900, 'v' || (i * 10 / {ROWS}), 1,
       case when i % 3 = 0 then 'queue_' || (i % 4) end, case when i % 30 = 0 then 'p' || (i % 50) end,
       case when status not in ('ENQUEUED', 'DELAYED') then at_ms + 100 end,
       case when status in ('SUCCESS', 'ERROR', 'CANCELLED') then at_ms + 900 end,
       case when i % 100 = 3 then 'wf-x' || (i / 1000) end, i % 100 = 4,
       case when i % 5 = 0 then 'wf-p' || (i / 50) end,
       case when i % 20 = 1 then 'schedule_' || (i % 7000) end,
       case when i % 10 < 6 then 'shop' when i % 10 < 9 then 'bank' end,
       %(attributes)s,
       case when status = 'DELAYED' then 1900000000000 + i end,
       case when status = 'PENDING' then 'aaaaaaaaaaaaaaaa-1' end
  from (select i, {FIRST_MS} + i * {STEP_MS} as at_ms, {_STATUS} as status from %(series)s) s
"""
_STEPS = f"""
insert into {{operation_outputs}}
       (workflow_uuid, function_id, function_name, started_at_epoch_ms, completed_at_epoch_ms, application_name)
select 'wf-' || (1000000 + i * 7919 % {ROWS}) || '-' || i, 1, 'step_' || (i % 20), {FIRST_MS} + i * {STEP_MS},
       {FIRST_MS} + i * {STEP_MS} + 5, 'shop'
  from %(series)s
"""
_POSTGRES = {
    "series": f"generate_series(cast(1 as bigint), {ROWS}) as i",
    "attributes": "case when i % 25 = 2 then jsonb_build_object('customer', 'c' || (i % 9000)) end",
}
_SQLITE = {
    "series": f"(with recursive r(i) as (select 1 union all select i + 1 from r where i < {ROWS}) select i from r)",
    "attributes": "null",
}


def history(dialect: str) -> list[str]:
    """Return the statements that write the workflows and one step of each, tables as `{workflow_status}`."""
    words = _POSTGRES if dialect == "postgres" else _SQLITE
    return [_words_in(text, words) for text in (_WORKFLOWS, _STEPS)]


def _words_in(text: str, words: dict[str, str]) -> str:
    for name, word in words.items():
        text = text.replace(f"%({name})s", word)
    return text
