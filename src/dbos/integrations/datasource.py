"""Datasources: exactly-once transactions on databases of the user's own, `SQLAlchemyDatasource` and its async twin.

Knows what users see: construction, options, decorators, the session of a body. Leaves running to `exactly_once`, tables
to `checkpoints` and engines to `engines`.
"""

from __future__ import annotations

import functools
import inspect
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from contextvars import ContextVar
from typing import Any, Literal, ParamSpec, TypedDict, TypeVar, cast, overload

from sqlalchemy import Engine
from sqlalchemy.orm import Session
from sqlalchemy.orm import sessionmaker as Sessionmaker

from .. import _lifecycle
from .._engine import datasources
from .._engine.color import Io, run_now
from .._engine.context import Run
from .._engine.runtime import installed
from .._engine.step import confirm
from .._error import DBOSException
from .._model.outcome import unwrap
from .._model.serialize import Codec, PickleSerializer, Serializer
from . import checkpoints
from .checkpoints import Table, from_step
from .engines import blocking_engine, check_sessions
from .exactly_once import BLOCKING, BlockingPort, Call, Place, Port, check_isolation, lenient, transact
from .retrying import is_passing, waits

logger = logging.getLogger("dbos")

P = ParamSpec("P")
R = TypeVar("R")

IsolationLevel = Literal["SERIALIZABLE", "REPEATABLE READ", "READ COMMITTED"]


class DatasourceOptions(TypedDict, total=False):
    """How a transaction runs: its step's name, and its isolation level."""

    name: str | None
    isolation_level: IsolationLevel | None


class Datasource:
    """What both colours share: one database, one table of outcomes, one open session per body."""

    def __init__(self, database_url: str, engine: Any, created: bool, schema: str | None, serializer: Any) -> None:
        self.database_url = database_url
        self.engine = engine
        self.created_engine = created
        self.serializer: Serializer = serializer or PickleSerializer()
        self._table = table_of(engine, schema)
        self.schema = self._table.schema  # None on SQLite, which has no schemas
        self._session: ContextVar[Any] = ContextVar("dbos_datasource_session", default=None)

    def __repr__(self) -> str:
        """Name the database, without its password."""
        return f"{type(self).__name__}({self.engine.url.render_as_string(hide_password=True)!r})"

    def _settle(self, port: Port) -> None:
        self._port = port
        self._place = Place(port, self._table, Codec(self.serializer), self._session, keeper=self)
        datasources.register(cast(datasources.Keeper, self))

    def _open_session(self) -> Any:
        session = self._session.get()
        assert session is not None, "sql_session() is available only inside a transaction of this datasource"
        return session

    def _call(self, options: DatasourceOptions | None, fn: Callable[..., Any], args: Any, kwargs: Any) -> Call:
        given = options or {}
        name = given.get("name") or getattr(fn, "__qualname__", None)
        if not name:
            raise DBOSException(f"{fn!r} has no __qualname__: give the transaction a name in its options")
        isolation = given.get("isolation_level") or "SERIALIZABLE"
        check_isolation(isolation, self._table.dialect)
        if self._table.dialect == "sqlite" and self._session.get() is not None:
            raise DBOSException(
                f"Transaction {name} was called inside a transaction of the same datasource, which on SQLite would "
                f"wait for itself: call its function undecorated, or after the outer transaction"
            )
        return Call(name, isolation, fn, args, kwargs)

    def is_passing(self, error: Exception) -> bool:
        """Tell whether a transaction of ours failed for something that passes."""
        return is_passing(error)

    async def _drop(
        self, workflow_ids: Sequence[str], from_step_id: int, check: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """Delete outcomes, unless what is checked after it rolls that back (TXN-8)."""
        async with self._port.transaction(lenient(self._port)) as session:
            await self._port.execute(session, self._table.forget, from_step(workflow_ids, from_step_id))
            await check()


async def unchecked() -> None:
    """Let a deletion stand."""


class SQLAlchemyDatasource(Datasource):
    """A database of yours with exactly-once transactions, for plain code: `SQLAlchemyDatasource.create(url)`.

    A transaction called in a workflow commits your writes and its own checkpoint together, in your database: whatever
    crashes, it takes effect once.

        shop = SQLAlchemyDatasource.create("postgresql://localhost/shop")

        @shop.transaction()
        def order(item: str) -> int:
            statement = text("insert into orders (item) values (:item) returning id")
            return shop.sql_session().scalar(statement, {"item": item})
    """

    engine: Engine

    def __init__(
        self,
        *,
        database_url: str,
        engine_kwargs: dict[str, Any] | None,
        engine: Engine | None,
        schema: str | None,
        serializer: Serializer | None,
        sessionmaker: Sessionmaker[Any] | None = None,
    ) -> None:
        """Take the parameters of `create`, which also sees to the tables."""
        if sessionmaker is not None:
            check_sessions(sessionmaker, Sessionmaker)
        used = engine if engine is not None else blocking_engine(database_url, engine_kwargs)
        super().__init__(database_url, used, engine is None, schema, serializer)
        self.sessionmaker = sessionmaker or Sessionmaker(expire_on_commit=False)
        self._settle(BlockingPort(used, self.sessionmaker))

    @staticmethod
    def create(
        database_url: str,
        engine_kwargs: dict[str, Any] | None = None,
        engine: Engine | None = None,
        schema: str | None = None,
        serializer: Serializer | None = None,
        sessionmaker: Sessionmaker[Any] | None = None,
        run_migrations: bool = True,
    ) -> SQLAlchemyDatasource:
        """Open a database and create its table of outcomes, or with `run_migrations=False` check that it is there.

        `engine` is used instead of one of our own, and never disposed; `schema` (default "dbos") holds our tables on
        Postgres; `serializer` stores outcomes (default: pickle); `sessionmaker` makes the sessions.

        Raises `DBOSInitializationError` when the tables are behind, `DBOSException` for an unfit sessionmaker.

            shop = SQLAlchemyDatasource.create("sqlite:///shop.sqlite")
        """
        datasource = SQLAlchemyDatasource(
            database_url=database_url,
            engine_kwargs=engine_kwargs,
            engine=engine,
            schema=schema,
            serializer=serializer,
            sessionmaker=sessionmaker,
        )
        try:
            if run_migrations:
                datasource.run_migrations()
            else:
                datasource.verify_migrations()
        except BaseException:
            if datasource.created_engine:
                datasource.engine.dispose()
            raise
        return datasource

    @staticmethod
    def migrate(database_url: str, *, schema: str | None = None, application_role: str | None = None) -> None:
        """Create or migrate the tables with a privileged URL, and let `application_role` use them.

        Raises `DBOSException` for a role with SQLite.

            SQLAlchemyDatasource.migrate("postgresql://admin@localhost/shop", application_role="shop")
        """
        engine = blocking_engine(database_url, None)
        table = table_of(engine, schema)
        checkpoints.refuse_role(table, application_role)
        try:
            checkpoints.in_one_transaction(engine, table, *checkpoints.migrating_works(table, application_role))
        finally:
            engine.dispose()

    @staticmethod
    def for_application() -> SQLAlchemyDatasource:
        """Return a datasource on the launched application's own database: its application database, else the system
        database. There is one per launch; `DBOS.destroy()` closes it. A database that cannot be reached is waited for.

        Raises `DBOSException` when nothing was launched, or it was destroyed while this waited.

            DBOS.launch()
            shop = SQLAlchemyDatasource.for_application()
        """
        application = _lifecycle.launched()
        with opening:
            if SQLAlchemyDatasource not in application.shared:
                datasource = _opened(application)
                application.shared[SQLAlchemyDatasource] = datasource
                application.closers.append(datasource._close)
        shared: SQLAlchemyDatasource = application.shared[SQLAlchemyDatasource]
        return shared

    def _close(self) -> None:
        datasources.unregister(self)
        self.engine.dispose()

    def run_migrations(self) -> None:
        """Create or migrate the tables."""
        checkpoints.in_one_transaction(self.engine, self._table, *checkpoints.migrating_works(self._table, None))

    def verify_migrations(self) -> None:
        """Raise `DBOSInitializationError` when the tables are missing or behind."""
        checkpoints.in_one_transaction(
            self.engine, self._table, lambda connection: checkpoints.verify(connection, self._table)
        )

    def sql_session(self) -> Session:
        """Return the session of the running transaction; AssertionError outside one."""
        session: Session = self._open_session()
        return session

    def run_tx_step(
        self, ds_options: DatasourceOptions | None, func: Callable[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a function in a transaction: in a workflow exactly once, elsewhere as often as it is called.

        Serialization failures, deadlocks and lost connections run it again. Raises what the function raises, after its
        writes were rolled back; `DBOSException` for a coroutine function.

            shop.run_tx_step({"isolation_level": "READ COMMITTED"}, order, "book")
        """
        _refuse_coroutine(func)
        call = self._call(ds_options, func, args, kwargs)
        node = installed()
        io = node.blocking if node is not None else BLOCKING
        return cast(R, unwrap(run_now(transact(self._place, node, io, call))))

    @overload
    def transaction(self, func: Callable[P, R], /) -> Callable[P, R]: ...

    @overload
    def transaction(
        self, func: None = None, *, name: str | None = None, isolation_level: IsolationLevel = "SERIALIZABLE"
    ) -> Callable[[Callable[P, R]], Callable[P, R]]: ...

    def transaction(
        self,
        func: Callable[..., Any] | None = None,
        *,
        name: str | None = None,
        isolation_level: IsolationLevel = "SERIALIZABLE",
    ) -> Any:
        """Make every call of a function a `run_tx_step`.

        @shop.transaction(isolation_level="READ COMMITTED")
        def order(item: str) -> int: ...
        """
        if func is None:
            return functools.partial(self._decorated, {"name": name, "isolation_level": isolation_level})
        return self._decorated({"name": name, "isolation_level": isolation_level}, func)

    def _decorated(self, options: DatasourceOptions, function: Callable[..., Any]) -> Callable[..., Any]:
        _refuse_coroutine(function)

        @functools.wraps(function)
        def face(*args: Any, **kwargs: Any) -> Any:
            return self.run_tx_step(options, function, *args, **kwargs)

        return face

    async def finish(self, node: Any, io: Io, run: Run) -> None:
        """Forget a run whose body has ended (DS-29)."""
        await io.query(run_now, self._drop([run.workflow_id], 0, functools.partial(confirm, node, node.blocking, run)))

    async def forget(self, io: Io, workflow_ids: Sequence[str], from_step_id: int) -> None:
        """Forget workflows' outcomes from a step on (DS-31)."""
        await io.query(run_now, self._drop(workflow_ids, from_step_id, unchecked))


opening = threading.Lock()  # held by who looks for an application's own datasource


def _opened(application: _lifecycle.Application) -> SQLAlchemyDatasource:
    """Open an application's own database, however long that takes (EX-42): what is recovered needs it to begin."""
    url, schema = application_database(application)
    for seconds in waits():
        try:
            return SQLAlchemyDatasource.create(url, schema=schema)
        except Exception as error:
            if not is_passing(error):
                raise
            logger.warning("The application database cannot be reached, trying again in %.3f s: %s", seconds, error)
        time.sleep(seconds)
        if _lifecycle.launched() is not application:
            raise DBOSException("DBOS was destroyed before its application database was reached")
    raise AssertionError("waits() has no end")


def application_database(application: _lifecycle.Application) -> tuple[str, str]:
    """Return the URL of an application's own database, and the schema of our tables there."""
    settings = application.settings
    url = settings.application_database_url or settings.system_database_url
    if settings.system_database_engine is not None and settings.application_database_url is None:
        url = settings.system_database_engine.url.render_as_string(hide_password=False)
    assert url is not None
    return url, settings.system_schema


def table_of(engine: Any, schema: str | None) -> Table:
    """Return the table of outcomes in an engine's database."""
    is_sqlite = engine.dialect.name == "sqlite"
    return Table("sqlite" if is_sqlite else "postgres", None if is_sqlite else schema or "dbos")


def _refuse_coroutine(function: Callable[..., Any]) -> None:
    if inspect.iscoroutinefunction(function):
        raise DBOSException(
            f"{getattr(function, '__qualname__', function)} is a coroutine function: use AsyncSQLAlchemyDatasource"
        )
