"""How runs may be broken: whose they are, what is replayed, what is durable, who is dead."""

from __future__ import annotations

from .mutant import mutant as _mutant

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
        "a record that is repeated has another time",
        "_engine/step.py",
        "            done_at_ms,\n            node.application_name,",
        "            node.clock.now_ms(),\n            node.application_name,",
        "store/test_lost_replies.py::test_what_was_committed_under_an_earlier_token_of_the_same_execution_stands",
    ),
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
        "test_receivers.py::test_a_recovered_receiver_waits_until_its_first_deadline",
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
        "a renewal that was refused waits as other services do",
        "_service/lease.py",
        "except self._node.database.failures as failure:",
        "except ConnectionRefusedError as failure:",
        "unit/test_steady.py::test_a_renewal_that_fails_is_tried_again_while_the_lease_lasts",
    ),
    _mutant(
        "what an earlier launch of this process left is taken for somebody's",
        "_service/lease.py",
        'return (process == here and here.started != "") or has_ended(process)',
        "return has_ended(process)",
        "unit/test_ended.py::test_another_lease_of_this_process_is_of_what_it_has_destroyed",
    ),
    _mutant(
        "a lock in the way of the lease fails the launch",
        "_service/lease.py",
        "database.persist(lambda: database.attempt(lambda session: leases.take(session, self.holder, self._lease_ms)))",
        "database.attempt(lambda session: leases.take(session, self.holder, self._lease_ms))",
        "store/test_lost_commits.py::test_a_launch_outlives_what_passes_at_each_of_its_commits",
    ),
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
