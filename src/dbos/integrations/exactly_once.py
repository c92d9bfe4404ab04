"""One body for transactions on users' databases: the user's writes and the checkpoint in one commit.

Knows the order of looking, running, committing and recording (DS-24..28, TX-5..9), for both colours: a `Port` is a
database in one of them. The tables are `checkpoints`' and `transactions`', the faces `datasource`'s and
`transactions`'.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import CursorResult, text
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidRequestError

from .._engine import datasources
from .._engine.color import Blocking, Io, Looping
from .._engine.context import Context, Run, StepStatus, current, enter, leave, workflow_run
from .._engine.runtime import Runtime
from .._engine.step import confirm, record, recorded_value, replayed
from .._engine.threads import Threads
from .._engine.tracing import Tracer, around
from .._error import DBOSException, DBOSUnexpectedStepError
from .._model.outcome import Failure, Outcome, Value
from .._model.serialize import Codec
from .checkpoints import Recorded, Step
from .retrying import is_passing, is_transient, waits

logger = logging.getLogger("dbos")

# Colours for transactions of programs that have launched nothing. They start no thread until they need one.
_THREADS = Threads(None)
BLOCKING, LOOPING = Blocking(_THREADS), Looping(_THREADS)

LEVELS = ("SERIALIZABLE", "REPEATABLE READ", "READ COMMITTED")


class Port(Protocol):
    """A user's database in one colour."""

    dialect: str

    def transaction(self, isolation: str) -> AbstractAsyncContextManager[Any]:
        """Give a session in a transaction that commits at the end of the block, or is rolled back by an exception."""

    async def flush(self, session: Any) -> None:
        """Send what the session holds back, so that generated keys and defaults are there."""

    async def execute(self, session: Any, sql: str, parameters: dict[str, Any] | list[dict[str, Any]]) -> Any:
        """Run one statement in the session's transaction; with a list of parameters, for each."""


class Outcomes(Protocol):
    """The statements of a table of outcomes."""

    @property
    def find(self) -> str:
        """Return the statement that reads an outcome by `workflow_id` and `step_id`."""

    @property
    def insert(self) -> str:
        """Return the statement that records an outcome, unless somebody has."""

    def row(self, step: Step, recorded: Recorded) -> dict[str, Any]:
        """Return the parameters of `insert`."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where transactions run, and where their outcomes are kept."""

    port: Port
    table: Outcomes
    codec: Codec
    session: ContextVar[Any]
    keeper: Any = None  # what is told when the run ends


@dataclass(frozen=True, slots=True)
class Call:
    """What is to be run, and how."""

    name: str
    isolation: str
    fn: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class _Raised(Exception):  # noqa: N818  # carries what a body raised out of its transaction, which it rolls back
    def __init__(self, error: BaseException) -> None:
        self.error = error


class _Taken(Exception):  # noqa: N818  # rolls back the transaction of a step whose outcome somebody has recorded
    pass


def check_isolation(level: str, dialect: str) -> None:
    """Refuse an isolation level that the database does not have, as SQLAlchemy does (DS-20)."""
    levels = LEVELS[:1] if dialect == "sqlite" else LEVELS
    if level not in levels:
        raise ArgumentError(
            f"Invalid value {level!r} for isolation_level. Valid isolation levels here are {', '.join(levels)}"
        )


async def transact(place: Place, node: Runtime | None, io: Io, call: Call, *, inside: bool = False) -> Outcome[Any]:
    """Run a function in a transaction: exactly once in workflow code, as often as it is called anywhere else."""
    run = workflow_run()
    if run is None or node is None:
        return await _plain(place, io, call)
    step_id = run.draw()
    core = _operation(place, node, io, run, step_id, call, inside)
    return (
        await core if node.tracer is None else await around(node.tracer.operation(run, call.name, "transaction"), core)
    )


async def _operation(
    place: Place, node: Runtime, io: Io, run: Run, step_id: int, call: Call, inside: bool
) -> Outcome[Any]:
    if place.keeper is not None and place.keeper not in run.keepers:
        run.keepers = (*run.keepers, place.keeper)
        datasources.register(place.keeper)
    try:
        recorded = replayed(run, step_id, call.name)
        if recorded is not None:
            return Value(recorded_value(node, recorded))
    except Exception as error:
        return Failure(error)
    return await _checkpointed(place, node, io, run, step_id, call, inside)


async def _plain(place: Place, io: Io, call: Call) -> Outcome[Any]:
    """Run a transaction outside workflow code: retried, and recorded nowhere (DS-23)."""
    for seconds in waits():
        try:
            async with place.port.transaction(call.isolation) as session:
                return Value(await _body(place, io, call, session))
        except _Raised as raised:
            failure = raised.error
        except Exception as error:
            failure = error
        if not is_transient(failure):
            return Failure(failure)
        await _wait(None, io, call, failure, seconds)
    raise AssertionError("waits() has no end")


async def _checkpointed(
    place: Place, node: Runtime, io: Io, run: Run, step_id: int, call: Call, inside: bool
) -> Outcome[Any]:
    """Run a transaction whose outcome is not in the system database, and record it there."""
    step = Step(run.workflow_id, step_id, call.name)
    started_at_ms = node.clock.now_ms()
    # A run that was called directly is the first of its id: looking for its outcome would find none. If some row is
    # there all the same (of a deleted namesake), inserting ours finds out.
    look = run.queue_name is not None
    for seconds in waits():
        await confirm(node, io, run)
        failure: BaseException
        try:
            found = await _find(place, step) if look else None
            if found is not None:
                outcome = _outcome_of(place, found)
            else:
                outcome, found = await _attempt(place, io, step, call, inside)
        except _Taken:
            run.checked_at = float("-inf")  # before another's outcome is ours, the database confirms that the run is
            look = True
            continue
        except Exception as error:
            failure = error
        else:
            if found is None:
                return outcome
            return await _record(place, node, io, run, step, started_at_ms, outcome, found)
        # Either it is worth another try, or it is of a transaction of ours: as long as looking or recording fails,
        # nobody knows how the step ended, and no failure may be given for its outcome.
        if not is_passing(failure):
            return Failure(failure)
        look = True  # what was lost may have been the reply to a commit
        await _wait(node.tracer, io, call, failure, seconds)
    raise AssertionError("waits() has no end")


async def _attempt(place: Place, io: Io, step: Step, call: Call, inside: bool) -> tuple[Outcome[Any], Recorded | None]:
    """Run the body and record its outcome in one commit, a failure in one of its own. Nothing is recorded of an
    exception that cannot be serialized."""
    port = place.port
    try:
        async with port.transaction(call.isolation) as session:
            value = await _within(step, inside, place, io, call, session)
            await port.flush(session)
            recorded = _of_value(place, value)
            await _insert(place, session, step, recorded)
        return Value(value), recorded
    except _Taken:
        raise
    except _Raised as raised:
        failure = raised.error
    except Exception as error:
        failure = error
    if is_transient(failure):
        raise failure
    if isinstance(failure, InvalidRequestError) and "closed transaction" in str(failure):
        logger.error(
            "Transaction %s ended its own transaction: do not call commit() or rollback() on the session, return or "
            "raise instead",
            call.name,
        )
    try:
        name = place.codec.name_for(None)
        recorded = Recorded(None, place.codec.dump_error(failure, name), name)
    except Exception as unserializable:
        return Failure(unserializable), None
    async with port.transaction(lenient(port)) as session:
        await _insert(place, session, step, recorded)
    return Failure(failure), recorded


async def _insert(place: Place, session: Any, step: Step, recorded: Recorded) -> None:
    took: CursorResult[Any] = await place.port.execute(session, place.table.insert, place.table.row(step, recorded))
    if took.rowcount == 0:
        raise _Taken


async def _find(place: Place, step: Step) -> Recorded | None:
    key = {"workflow_id": step.workflow_id, "step_id": step.step_id}
    try:
        async with place.port.transaction(lenient(place.port)) as session:
            row = (await place.port.execute(session, place.table.find, key)).first()
    except DBAPIError as error:
        if is_passing(error):
            raise
        raise DBOSException(
            f"The outcome of transaction {step.name}, step {step.step_id} of workflow {step.workflow_id}, cannot be "
            f"read: {error.orig}"
        ) from error
    if row is None:
        return None
    found = Recorded(*row)
    if found.name and found.name != step.name:
        raise DBOSUnexpectedStepError(step.workflow_id, step.step_id, step.name, found.name)
    return found


def lenient(port: Port) -> str:
    """Return the isolation level for statements of ours that stand alone."""
    return "SERIALIZABLE" if port.dialect == "sqlite" else "READ COMMITTED"


async def _within(step: Step, inside: bool, place: Place, io: Io, call: Call, session: Any) -> Any:
    here = current()
    assert here is not None
    token = enter(Context(here.run, StepStatus(step.step_id), here.options, here.auth, in_transaction=inside))
    try:
        return await _body(place, io, call, session)
    finally:
        leave(token, here)


async def _body(place: Place, io: Io, call: Call, session: Any) -> Any:
    token = place.session.set(session)
    try:
        outcome = await io.call(call.fn, call.args, call.kwargs)
    finally:
        place.session.reset(token)
    if isinstance(outcome, Failure):
        raise _Raised(outcome.error)
    return outcome.value


def _of_value(place: Place, value: Any) -> Recorded:
    name = place.codec.name_for(None)
    return Recorded(place.codec.dumps(value, name), None, name)


def _outcome_of(place: Place, found: Recorded) -> Outcome[Any]:
    if found.error is not None:
        return Failure(place.codec.load_error(found.error, found.serialization))
    return Value(place.codec.loads(found.output, found.serialization))


async def _record(
    place: Place,
    node: Runtime,
    io: Io,
    run: Run,
    step: Step,
    started_at_ms: int,
    outcome: Outcome[Any],
    recorded: Recorded,
) -> Outcome[Any]:
    """Write the step's checkpoint to the system database; both have one text when they have one serializer."""
    name = node.codec.name_for(None)
    output, error = recorded.output, recorded.error
    if recorded.serialization != name:
        try:
            if isinstance(outcome, Value):
                output = node.codec.dumps(outcome.value, name)
            else:
                error = node.codec.dump_error(outcome.error, name)
        except Exception as unserializable:
            return Failure(unserializable)
    await record(node, io, run, step.step_id, step.name, started_at_ms, output=output, error=error, serialization=name)
    return outcome


async def _wait(tracer: Tracer | None, io: Io, call: Call, failure: BaseException, seconds: float) -> None:
    if tracer is not None:
        tracer.event("Transaction Failure", {"retry_wait_seconds": seconds})
    logger.debug("Transaction %s failed and is run again in %.3f s: %s", call.name, seconds, failure)
    await io.sleep(seconds)


class BlockingPort:
    """A user's database for plain code. Nothing here ever suspends."""

    def __init__(self, engine: Any, sessions: Any) -> None:
        self.dialect = "sqlite" if engine.dialect.name == "sqlite" else "postgres"
        self._engine = engine
        self._sessions = sessions

    @asynccontextmanager
    async def transaction(self, isolation: str) -> AsyncIterator[Any]:
        """Give a session in a transaction."""
        with self._sessions(bind=self._engine) as session, session.begin():
            if self.dialect != "sqlite":
                session.connection(execution_options={"isolation_level": isolation})
            yield session

    async def flush(self, session: Any) -> None:
        """Send what the session holds back."""
        session.flush()

    async def execute(self, session: Any, sql: str, parameters: dict[str, Any] | list[dict[str, Any]]) -> Any:
        """Run one statement."""
        return session.execute(text(sql), parameters)


class LoopingPort:
    """A user's database for async code."""

    def __init__(self, engine: Any, sessions: Any) -> None:
        self.dialect = "sqlite" if engine.dialect.name == "sqlite" else "postgres"
        self._engine = engine
        self._sessions = sessions

    @asynccontextmanager
    async def transaction(self, isolation: str) -> AsyncIterator[Any]:
        """Give a session in a transaction."""
        async with self._sessions(bind=self._engine) as session, session.begin():
            if self.dialect != "sqlite":
                await session.connection(execution_options={"isolation_level": isolation})
            yield session

    async def flush(self, session: Any) -> None:
        """Send what the session holds back."""
        await session.flush()

    async def execute(self, session: Any, sql: str, parameters: dict[str, Any] | list[dict[str, Any]]) -> Any:
        """Run one statement."""
        return await session.execute(text(sql), parameters)
