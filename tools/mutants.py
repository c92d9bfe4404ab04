"""What correctness stands on, and how each of it may be broken: the list that `mutations.py` works through.

A mutant replaces a text that its file has exactly once, and names the tests that must notice. Nothing here is
generated: each entry is a guard that somebody could remove one day, believing it superfluous.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One way to break the product: in `file` (below `src/dbos`), `old` becomes `new`, and `tests` must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def _mutant(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, file, old, new, tests)


OWNERSHIP = (
    _mutant(
        "a record is written whoever owns the run",
        "_store/workflows.py",
        " and w.owner_xid = r.{owner}\n",
        "\n",
        "store/test_guards.py::test_a_record_takes_for_a_pending_run_of_its_execution_only",
    ),
    _mutant(
        "a record is written whatever the status",
        "_store/workflows.py",
        "coalesce(w.status, '') = 'PENDING' and w.owner_xid = r.{owner}",
        "w.owner_xid = r.{owner}",
        "store/test_guards.py::test_a_record_takes_for_a_pending_run_of_its_execution_only",
    ),
    _mutant(
        "a record's run is not locked",
        "_store/workflows.py",
        "\n                {{lock:w}})",
        ")",
        "store/test_guards.py::test_a_record_waits_for_who_is_changing_its_run",
    ),
    _mutant(
        "an outcome is stored whoever owns the run",
        "_store/workflows.py",
        " where {OWNED}\n    on conflict (workflow_uuid) do update\n",
        " where true\n    on conflict (workflow_uuid) do update\n",
        "test_ownership.py::test_an_outcome_of_a_lost_execution_is_not_stored",
    ),
    _mutant(
        "an outcome that did not take counts as taken",
        "_store/workflows.py",
        "return row == (outcome.status, outcome.output, outcome.error)",
        "return True",
        "test_ownership.py::test_an_outcome_of_a_lost_execution_is_not_stored",
    ),
    _mutant(
        "a lost execution starts children",
        "_store/workflows.py",
        "{_INSERT} where {owned('parent_id', 'parent_owner')} on conflict",
        "{_INSERT} where true on conflict",
        "test_ownership.py::test_a_lost_execution_starts_no_child",
    ),
    _mutant(
        "the judge does not look at the owner",
        "_store/workflows.py",
        'if status != "PENDING" or holder != owner:',
        'if status != "PENDING":',
        "test_ownership.py::test_a_step_of_an_execution_that_lost_ownership_is_not_recorded_and_the_execution_parks",
    ),
    _mutant(
        "the judge does not look at the status",
        "_store/workflows.py",
        'if status == "CANCELLED":\n        raise',
        'if status == "":\n        raise',
        "store/test_guards.py::test_a_cancelled_run_is_called_so_whoever_had_it",
    ),
    _mutant(
        "an execution that lost its run forgets it",
        "_engine/step.py",
        "    else:\n        run.lost = True\n",
        "    else:\n        pass\n",
        "test_ownership.py::test_code_that_swallows_the_loss_records_nothing_more",
    ),
    _mutant(
        "a step begins without asking whose the run is",
        "_engine/step.py",
        "if now - run.checked_at < FRESH_SEC:",
        "if now >= 0:",
        "test_ownership.py::test_a_step_of_an_execution_that_lost_ownership_is_not_recorded_and_the_execution_parks",
    ),
    _mutant(
        "an old execution takes up a new run of its id",
        "_engine/recovery.py",
        "running.creator != row.creator or ",
        "",
        "test_deletion.py::test_a_deleted_id_runs_again_while_its_old_execution_still_does",
    ),
    _mutant(
        "an old execution takes up a rewound run",
        "_engine/recovery.py",
        " or running.recorded_to > max(replay, default=0)",
        "",
        "test_rewinding.py::test_a_cancelled_execution_that_is_still_under_way_does_not_go_on_after_a_rewind",
    ),
    _mutant(
        "a transaction's step holds a run that is not ours",
        "_store/steps.py",
        "coalesce(status, '') = 'PENDING' and owner_xid = :owner",
        "coalesce(status, '') = 'PENDING'",
        "store/test_guards.py::test_a_run_is_held_by_its_execution_only",
    ),
)

REPLAY = (
    _mutant(
        "another operation in a step's place replays",
        "_engine/step.py",
        "if recorded.name != name:",
        "if recorded.name == '':",
        "test_replay.py::test_another_recorded_name_is_nondeterminism",
    ),
    _mutant(
        "two results under one step id are one",
        "_store/steps.py",
        "if row is not None and row != (step.name, step.completed_at_ms, step.child_id):",
        "if row is not None and row[0] != step.name:",
        "test_replay.py::test_one_number_recorded_twice_with_different_results_is_nondeterminism",
    ),
    _mutant(
        "a record counts before it is durable",
        "_store/journal.py",
        "        self._pending.append(entry)\n",
        "        self._pending.append(entry)\n        entry.settle(None)\n",
        "test_replay.py::test_an_output_is_committed_before_control_returns",
    ),
    _mutant(
        "an outcome is shown before it is durable",
        "_engine/workflow.py",
        "    outcome, ended = _ended(node, run, outcome)\n    while True:\n",
        "    outcome, ended = _ended(node, run, outcome)\n    _conclude(node, run, outcome)\n    while True:\n",
        "test_ownership.py::test_a_direct_caller_gets_the_owners_outcome",
        "test_ownership.py::test_an_outcome_of_a_lost_execution_is_not_stored",
    ),
    _mutant(
        "a parent does not record its child with it",
        "_store/workflows.py",
        "(_INSERT_INPUT, _INSERT_PARENT_STEP)",
        "(_INSERT_INPUT,)",
        "test_children.py::test_the_parents_record_stands_when_the_child_begins",
    ),
    _mutant(
        "a sleep is not recorded before it begins",
        "_ops/timers.py",
        "wake_at_sec = float(recorded_value(node, recorded))",
        "wake_at_sec = node.clock.now_sec() + seconds",
        "test_sleep.py::test_a_recovered_workflow_does_not_sleep_again",
    ),
    _mutant(
        "a receiver's deadline is counted anew",
        "_engine/patience.py",
        "self._deadline_sec = float(recorded_value(node, recorded))",
        "pass",
        "test_messages.py::test_a_recovered_receiver_waits_until_its_first_deadline",
    ),
    _mutant(
        "an attempt too many is allowed",
        "_engine/recovery.py",
        "row.recovery_attempts <= most + 1",
        "row.recovery_attempts <= most + 2",
        "test_attempts.py::test_a_workflow_is_given_up_after_its_last_allowed_recovery",
    ),
    _mutant(
        "a resumed run is given up",
        "_store/workflows.py",
        " and status = 'PENDING' and recovery_attempts >= :attempts",
        " and status = 'PENDING'",
        "store/test_claims.py::test_a_run_that_was_resumed_meanwhile_is_not_given_up",
    ),
)

JOURNAL = (
    _mutant(
        "a lost connection fails the batch",
        "_store/journal.py",
        "if self._database.gave_up or self._stopping or not self._database.retries:",
        "if True:",
        "test_replay.py::test_an_operation_outlives_the_loss_of_its_connections",
    ),
    _mutant(
        "a bad record fails its batch",
        "_store/journal.py",
        "            if len(batch) == 1:\n                batch[0].fail(_refused(batch[0], bad))\n"
        "                return []\n",
        "            if batch:\n                for one in batch:\n                    one.fail(_refused(one, bad))\n"
        "                return []\n",
        "store/test_journal.py::test_a_bad_record_fails_alone",
    ),
    _mutant(
        "one row's refusal is not its own",
        "_store/postgres.py",
        "None if result.ntuples == len(records) else _keys(kind, result)",
        "None",
        "store/test_journal.py::test_verdicts_are_per_row",
    ),
    _mutant(
        "a batch is committed although a row did not take",
        "_store/sqlite.py",
        "                if not self._write_one(writer, kind, records[0]):\n                    raise NotAll\n",
        "                self._write_one(writer, kind, records[0])\n",
        "store/test_guards.py::test_a_record_takes_for_a_pending_run_of_its_execution_only",
    ),
    _mutant(
        "a batch of many is committed although a row did not take",
        "_store/sqlite.py",
        "            if writer.execute(claim, values).rowcount != len(records):\n                raise NotAll\n",
        "            writer.execute(claim, values)\n",
        "store/test_journal.py::test_verdicts_are_per_row",
    ),
    _mutant(
        "the second of two records of one row is never written",
        "_store/journal.py",
        "                later.append(entry)\n                continue\n",
        "                continue\n",
        "store/test_journal.py::test_of_two_records_of_one_row_at_once_one_takes_and_the_other_is_told",
    ),
    _mutant(
        "two records of one row go into one batch",
        "_store/journal.py",
        "            if key in keys:\n",
        "            if key is None:\n",
        "store/test_journal.py::test_of_two_records_of_one_row_at_once_one_takes_and_the_other_is_told",
    ),
    _mutant(
        "a start whose reply was lost is taken for somebody else's",
        "_store/workflows.py",
        "return None if row[0] == start.creator else Existing(start.workflow_id, *row[1:])",
        "return Existing(start.workflow_id, *row[1:])",
        "store/test_journal.py::test_a_commit_whose_reply_was_lost_is_recognised",
    ),
    _mutant(
        "a claim whose reply was lost is forgotten",
        "_store/claims.py",
        "    return _in_order(rows)\n\n\ndef _in_order",
        "    return []\n\n\ndef _in_order",
        "store/test_claims.py::test_what_a_lost_commit_took_is_found_again",
    ),
    _mutant(
        "SQLite does not make commits durable",
        "_store/sqlite.py",
        "pragma synchronous = full",
        "pragma synchronous = off",
        "store/test_connections.py::test_a_sqlite_connection_waits_for_half_a_minute_and_syncs",
    ),
    _mutant(
        "a reader left in an old transaction is kept",
        "_store/sqlite.py",
        "keep = not (self.closed or reader.in_transaction)",
        "keep = not self.closed",
        "store/test_guards.py::test_a_reader_whose_transaction_did_not_end_shows_nobody_an_old_state",
    ),
    _mutant(
        "a disk error is final",
        "_store/sqlite.py",
        '("locked", "busy", "full", "disk I/O error")',
        '("locked", "busy")',
        "torture/test_statement_faults.py",
    ),
)

DEATH = (
    _mutant(
        "launch puts back what was claimed meanwhile",
        "_store/workflows.py",
        "status = 'PENDING' and executor_id {{in:executors}}\n               {UNOWNED if ended is not None else \"\"}",
        "status = 'PENDING' and executor_id {{in:executors}}",
        "store/test_recovery_races.py",
    ),
    _mutant(
        "launch puts back what has ended meanwhile",
        "_store/workflows.py",
        "where workflow_uuid {{in:ids}} and status = 'PENDING' and executor_id",
        "where workflow_uuid {{in:ids}} and executor_id",
        "store/test_guards.py::test_what_ended_meanwhile_is_not_put_back",
    ),
    _mutant(
        "launch puts back what was claimed while it waited for the row",
        "_store/leases.py",
        "   and (select 1\n          from {{executors}} e\n"
        "         where e.incarnation = substr(workflow_status.owner_xid, 1, {INCARNATION_LENGTH})\n"
        "           and e.expires_at_epoch_ms > {{now_ms}} and not (e.incarnation {{in:ended}})\n"
        "         limit 1) is null\n",
        "   and not exists (select 1 from {{executors}} e\n"
        "         where e.incarnation = substr(workflow_status.owner_xid, 1, {INCARNATION_LENGTH})\n"
        "           and e.expires_at_epoch_ms > {{now_ms}} and not (e.incarnation {{in:ended}}))\n",
        "store/test_recovery_races.py",
    ),
    _mutant(
        "a lease never runs out",
        "_store/leases.py",
        "           and e.expires_at_epoch_ms > {{now_ms}} and not (e.incarnation {{in:ended}})",
        "           and not (e.incarnation {{in:ended}})",
        "store/test_guards.py::test_only_what_a_dead_process_ran_is_put_back",
    ),
    _mutant(
        "a live process's runs are adopted",
        "_store/adoption.py",
        "(e.expires_at_epoch_ms <= {now_ms} or :ended)",
        "(true or :ended)",
        "store/test_guards.py::test_only_what_a_dead_process_ran_is_put_back",
    ),
    _mutant(
        "anybody's runs are adopted",
        "_store/adoption.py",
        "substr(w.owner_xid, 1, {INCARNATION_LENGTH}) = :incarnation\n       and ",
        "",
        "store/test_guards.py::test_only_what_a_dead_process_ran_is_put_back",
    ),
    _mutant(
        "after an outage everybody is taken for dead",
        "_service/lease.py",
        "return self._is_in_time(now) and now - self._steady_since >= self._lease_sec",
        "return True",
        "unit/test_steady.py",
    ),
    _mutant(
        "a process of this machine that lives is taken for ended",
        "_service/lease.py",
        "if (other.host, other.boot_id) != (here.host, here.boot_id):\n        return False",
        "if (other.host, other.boot_id) != (here.host, here.boot_id):\n        return True",
        "unit/test_ended.py::test_only_a_process_of_this_machine_can_be_seen_to_have_ended",
    ),
    _mutant(
        "a pid that is used again is the process that had it",
        "_engine/process.py",
        ' or (process.started != "" and started not in ("", process.started))',
        "",
        "unit/test_ended.py::test_a_pid_that_is_used_again_is_not_the_process_that_had_it",
    ),
)

STATUSES = (
    _mutant(
        "a finished run is cancelled",
        "_store/cancelling.py",
        "f\"{_SET} where workflow_uuid {{in:ids}} and status not in ('SUCCESS', 'ERROR') returning workflow_uuid\"",
        'f"{_SET} where workflow_uuid {{in:ids}} returning workflow_uuid"',
        "test_cancellation.py::test_cancelling_a_completed_workflow_changes_nothing",
    ),
    _mutant(
        "a finished run is resumed",
        "_store/workflows.py",
        " where workflow_uuid {in:ids} and status not in ('SUCCESS', 'ERROR')\n        \"\"\",\n"
        "        ids=workflow_ids,\n        queue=queue_name,",
        ' where workflow_uuid {in:ids}\n        """,\n        ids=workflow_ids,\n        queue=queue_name,',
        "test_cancellation.py::test_resuming_a_completed_workflow_changes_nothing",
    ),
    _mutant(
        "what is not yet due is cancelled",
        "_store/cancelling.py",
        "                  and w.workflow_deadline_epoch_ms <= {{now_ms}}\n",
        "",
        "test_timeouts.py::test_a_deadline_in_the_future_cancels_nothing",
    ),
    _mutant(
        "a run is rewound although it runs again",
        "_store/rewinding.py",
        " and coalesce(status, '') = :seen",
        " and :seen <> ''",
        "store/test_guards.py::test_a_workflow_that_was_revived_meanwhile_is_not_rewound",
    ),
    _mutant(
        "a rewind keeps the step it starts from",
        "_store/rewinding.py",
        '("operation_outputs", "workflow_uuid = :id and function_id >= :start")',
        '("operation_outputs", "workflow_uuid = :id and function_id > :start")',
        "test_rewinding.py::test_what_was_recorded_from_the_start_step_on_is_dropped",
    ),
    _mutant(
        "a fork copies the step it starts from",
        "_store/forking.py",
        "s.workflow_uuid = {_OLD} and s.function_id < {_START}",
        "s.workflow_uuid = {_OLD} and s.function_id <= {_START}",
        "test_forking.py::test_a_fork_replays_what_is_below_its_start_step_and_runs_the_rest",
    ),
    _mutant(
        "a fork takes somebody's id",
        "_store/forking.py",
        "        if taken:\n            raise in_use(taken)\n",
        "",
        "test_forking.py::test_an_id_in_use_cannot_be_a_forks",
    ),
    _mutant(
        "a deletion leaves what is being written",
        "_store/deletion.py",
        'session.rows(_ROWS + "{lock:w}", ids=list(seen))',
        "session.rows(_ROWS, ids=list(seen))",
        "store/test_guards.py::test_a_deletion_waits_for_who_writes_for_the_run",
    ),
    _mutant(
        "a collection does not look again",
        "_store/retention.py",
        "    gone = unread(session, old)\n",
        "    gone = [one.workflow_id for one in old]\n",
        "test_retention.py::test_what_is_revived_meanwhile_stays",
        "test_retention.py::test_what_a_workflow_revived_meanwhile_reads_again_stays",
    ),
    _mutant(
        "what is deleted meanwhile is said to be resumed",
        "_store/workflows.py",
        "         order by {bytewise:w.workflow_uuid}\n         {lock:w}\n",
        "",
        "store/test_interleavings.py",
    ),
    _mutant(
        "a collection takes what a running parent reads",
        "_store/retention.py",
        "if reading.isdisjoint((one.workflow_id, one.parent_id))]",
        "if reading.isdisjoint((one.workflow_id,))]",
        "test_retention.py::test_a_child_stays_while_its_parent_is_active",
    ),
)

QUEUES = (
    _mutant(
        "a row is claimed by two",
        "_store/claims.py",
        '_TAKE_OPEN = _TAKE_FIRST % "{skip_locked:x}"',
        '_TAKE_OPEN = _TAKE_FIRST % ""',
        "store/test_guards.py::test_a_row_that_another_process_is_claiming_is_passed_over",
    ),
    _mutant(
        "two processes spend one budget",
        "_store/claims.py",
        '    if not session.try_lock(f"claim:{name}"):\n',
        "    if name is None:\n",
        "store/test_claims.py::test_one_process_at_a_time_claims_a_shared_queue",
    ),
    _mutant(
        "one run more than the concurrency",
        "_store/claims.py",
        "room = min(room, queue.concurrency - pending)",
        "room = min(room, queue.concurrency - pending + 1)",
        "store/test_claims.py::test_a_shared_claim_takes_what_fits",
    ),
    _mutant(
        "starts of the period are not counted",
        "_store/claims.py",
        "room = min(room, queue.limiter.limit - started)",
        "room = min(room, queue.limiter.limit)",
        "test_limits.py::test_in_any_period_no_more_start_than_the_rate_allows",
    ),
    _mutant(
        "what started leaves the window at once",
        "_store/claims.py",
        "x.rate_limited = true and x.started_at_epoch_ms > {now_ms} - :period",
        "x.rate_limited = true and x.started_at_epoch_ms > {now_ms}",
        "test_limits.py::test_in_any_period_no_more_start_than_the_rate_allows",
    ),
    _mutant(
        "one run more than a partition's concurrency",
        "_store/partitions.py",
        "rooms[key] = min(rooms[key], queue.partition_concurrency - pending)",
        "rooms[key] = min(rooms[key], queue.partition_concurrency - pending + 1)",
        "test_partitions.py::test_limits_per_partition",
    ),
    _mutant(
        "what others hold of a partition is passed by",
        "_store/partitions.py",
        "if row[2] in picked]",
        "]",
        "test_partitions.py::test_a_locked_partition_is_passed_over",
    ),
    _mutant(
        "priority does not count",
        "_store/claims.py",
        "order by x.priority, x.created_at, {{age:x}}",
        "order by x.created_at, {{age:x}}",
        "test_queues.py::test_order_is_by_priority_then_age",
    ),
    _mutant(
        "another application's rows are claimed",
        "_store/claims.py",
        'OWN = "(x.application_name = :application or x.application_name is null)"',
        "OWN = \"(x.application_name = :application or coalesce(x.application_name, '') <> '-')\"",
        "test_queues.py::test_which_rows_a_process_may_claim",
    ),
    _mutant(
        "another version's rows are claimed",
        "_store/claims.py",
        "and (x.application_version = :version\n",
        "and (coalesce(x.application_version, :version) <> '-'\n",
        "test_queues.py::test_which_rows_a_process_may_claim",
    ),
    _mutant(
        "two live runs hold one deduplication id (SQLite)",
        "_store/migrations/sqlite/schema.sql",
        "create unique index uq_workflow_status_dedup_id",
        "create index uq_workflow_status_dedup_id",
        "test_dedup.py::test_a_held_id_is_refused",
    ),
    _mutant(
        "two live runs hold one deduplication id (Postgres)",
        "_store/migrations/postgres/schema.sql",
        "create unique index uq_workflow_status_dedup_id",
        "create index uq_workflow_status_dedup_id",
        "test_dedup.py::test_a_held_id_is_refused",
    ),
    _mutant(
        "a finished run keeps its deduplication id",
        "_store/workflows.py",
        "set status = excluded.status, owner_xid = null, deduplication_id = null,",
        "set status = excluded.status, owner_xid = null,",
        "test_dedup.py::test_an_id_is_held_while_active_and_released_at_the_end",
    ),
    _mutant(
        "a given-up run keeps its deduplication id",
        "_store/workflows.py",
        "set status = 'MAX_RECOVERY_ATTEMPTS_EXCEEDED', owner_xid = null, deduplication_id = null,",
        "set status = 'MAX_RECOVERY_ATTEMPTS_EXCEEDED', owner_xid = null,",
        "test_dedup.py::test_a_dead_lettered_workflow_releases_its_id_and_slot",
    ),
    _mutant(
        "a delay ends before its time",
        "_store/delays.py",
        "w.status = 'DELAYED' and w.delay_until_epoch_ms <= :now",
        "w.status = 'DELAYED' and w.delay_until_epoch_ms <= :now + 3600000",
        "store/test_claims.py::test_due_delays_are_released_in_batches",
    ),
    _mutant(
        "a debounced row that is due keeps its id",
        "_store/delays.py",
        "case when is_debounced then null else deduplication_id end",
        "deduplication_id",
        "test_delays.py::test_a_debounced_row_gives_up_its_id_when_it_is_due",
    ),
    _mutant(
        "a run that is under way is bounced",
        "_store/debounce.py",
        "deduplication_id = :key and status = 'DELAYED' and is_debounced",
        "deduplication_id = :key and is_debounced",
        "store/test_guards.py::test_what_no_longer_waits_is_not_bounced",
    ),
    _mutant(
        "each process fires its own tick",
        "_engine/scheduled.py",
        'f"sched-{schedule.schedule_name}-{moment.isoformat()}"',
        'f"sched-{schedule.schedule_name}-{moment.isoformat()}-{new_incarnation()}"',
        "test_schedules.py::test_a_tick_that_another_process_fired_is_noted_and_not_run_again",
    ),
)

TALKING = (
    _mutant(
        "a message is received again",
        "_store/messages.py",
        "where m.message_uuid = r.message_id and not m.consumed {lock:m})",
        "where m.message_uuid = r.message_id {lock:m})",
        "store/test_guards.py::test_a_message_that_was_received_is_received_by_nobody_else",
    ),
    _mutant(
        "a received message is not marked",
        "_store/messages.py",
        "   set consumed = true, consumed_by",
        "   set consumed = false, consumed_by",
        "test_messages.py::test_messages_come_in_the_order_they_were_sent_by_topic",
    ),
    _mutant(
        "an idempotency key is not one",
        "_store/messages.py",
        '    judge_owner(session, posted.workflow_id, posted.owner)\n    return session.one("select 1',
        '    judge_owner(session, posted.workflow_id, posted.owner)\n    return not session.one("select 1',
        "test_messages.py::test_of_messages_with_one_idempotency_key_the_first_wins",
    ),
    _mutant(
        "a message to nobody is sent",
        "_store/messages.py",
        'insert_step(only=f"and {_EXISTS}")',
        "insert_step()",
        "test_messages.py::test_in_a_workflow_a_message_to_nobody_is_the_steps_error",
    ),
    _mutant(
        "messages to nobody are sent",
        "_store/messages.py",
        '_CLAIM = insert_step(only=f"and not exists ({_MISSING})")',
        "_CLAIM = insert_step()",
        "test_messages.py::test_in_a_workflow_a_message_to_nobody_is_the_steps_error",
    ),
    _mutant(
        "who receives a message may be deleted before it is committed",
        "_store/messages.py",
        "d.workflow_uuid = {destination} {{stay:d}})",
        "d.workflow_uuid = {destination})",
        "store/test_interleavings.py",
    ),
    _mutant(
        "a step that lost its run sends",
        "_store/messages.py",
        "{_POST} where {OWNED} and {_EXISTS} on conflict",
        "{_POST} where {_EXISTS} on conflict",
        "test_messages.py::test_a_step_whose_run_was_taken_over_sends_nothing",
    ),
    _mutant(
        "of events set at once the first stays",
        "_store/events.py",
        "order by r.step_id desc) as age",
        "order by r.step_id) as age",
        "test_events.py::test_of_events_set_at_once_the_last_stays",
    ),
    _mutant(
        "a step that lost its run sets events",
        "_store/events.py",
        "    _UPSERT % OWNED,",
        '    _UPSERT % "true",',
        "test_events.py::test_a_step_whose_run_was_taken_over_sets_nothing",
    ),
    _mutant(
        "a value whose reply was lost is written twice",
        "_store/streams.py",
        "if judge_act(session, writing):",
        "if judge_act(session, writing) and False:",
        "store/test_lost_replies.py::test_a_value_whose_reply_was_lost_stands_once",
    ),
    _mutant(
        "a value of a step whose reply was lost is written twice",
        "_store/streams.py",
        "if found == (writing.step_id, writing.value, writing.value_serialization):",
        "if found == ():",
        "store/test_lost_replies.py::test_a_value_whose_reply_was_lost_stands_once",
    ),
    _mutant(
        "an offset is used twice",
        "_store/streams.py",
        "return 0 if row is None else int(row[0]) + 1",
        "return 0 if row is None else int(row[0])",
        "test_streams.py::test_an_offset_that_another_writer_took_is_passed_over",
    ),
    _mutant(
        "an import writes over what is there",
        "_store/transfer.py",
        "            return\n        raise in_use(ids)\n",
        "            return\n",
        "test_transfer.py::test_an_id_in_use_imports_nothing",
    ),
)

TRANSACTIONS = (
    _mutant(
        "a transaction commits without its checkpoint",
        "integrations/exactly_once.py",
        "            recorded = _of_value(place, value)\n            await _insert(place, session, step, recorded)\n",
        "            recorded = _of_value(place, value)\n",
        "datasource/test_datasource.py::test_without_its_checkpoint_the_recorded_outcome_is_used",
    ),
    _mutant(
        "a transaction whose outcome is there commits again",
        "integrations/exactly_once.py",
        "    if took.rowcount == 0:\n        raise _Taken\n",
        "",
        "datasource/test_datasource.py::test_a_row_of_an_earlier_life_is_replayed_and_the_writes_are_rolled_back",
    ),
    _mutant(
        "a transaction whose reply was lost is not looked for",
        "integrations/exactly_once.py",
        "        look = True  # what was lost may have been the reply to a commit\n",
        "",
        "datasource/test_retries.py::test_a_commit_whose_reply_was_lost_is_found",
    ),
    _mutant(
        "that looking for a transaction failed is how it ended",
        "integrations/exactly_once.py",
        "        if not is_passing(failure):\n            return Failure(failure)\n        look",
        "        if not is_transient(failure):\n            return Failure(failure)\n        look",
        "datasource/test_retries.py::test_that_looking_failed_is_not_how_a_transaction_ended",
    ),
    _mutant(
        "a rewind does not wait until outcomes are dropped",
        "_engine/datasources.py",
        "                if not keeper.is_passing(error):\n                    raise\n",
        "                raise\n",
        "unit/test_datasources.py::test_a_rewind_waits_for_what_is_in_its_way",
    ),
    _mutant(
        "a recovered run does not look for its transaction",
        "integrations/exactly_once.py",
        "    look = run.queue_name is not None\n",
        "    look = False\n",
        "datasource/test_datasource.py::test_without_its_checkpoint_the_recorded_outcome_is_used",
    ),
)

MUTANTS = (*OWNERSHIP, *REPLAY, *JOURNAL, *DEATH, *STATUSES, *QUEUES, *TALKING, *TRANSACTIONS)
