"""The datasource of async code: `AsyncSQLAlchemyDatasource`, which awaits what `SQLAlchemyDatasource` blocks for."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, ParamSpec, TypeVar, cast, overload

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.pool import NullPool

from .. import _lifecycle
from .._engine import datasources
from .._engine.color import Io
from .._engine.context import Run
from .._engine.runtime import installed
from .._engine.step import confirm
from .._error import DBOSException
from .._model.outcome import unwrap
from .._model.serialize import Serializer
from . import checkpoints
from .checkpoints import Table
from .datasource import (
    Datasource,
    DatasourceOptions,
    IsolationLevel,
    SQLAlchemyDatasource,
    application_database,
    opening,
    table_of,
    unchecked,
)
from .engines import check_sessions, looping_engine
from .exactly_once import LOOPING, LoopingPort, transact
from .retrying import Patience

P = ParamSpec("P")
R = TypeVar("R")


class AsyncSQLAlchemyDatasource(Datasource):
    """A database of yours with exactly-once transactions, for async code: `await ...create(url)`.

    It is what `SQLAlchemyDatasource` is, awaited.

        shop = await AsyncSQLAlchemyDatasource.create("postgresql://localhost/shop")

        @shop.transaction()
        async def order(item: str) -> int:
            statement = text("insert into orders (item) values (:item) returning id")
            return await shop.sql_session().scalar(statement, {"item": item})
    """

    engine: AsyncEngine

    def __init__(
        self,
        *,
        database_url: str,
        engine_kwargs: dict[str, Any] | None,
        engine: AsyncEngine | None,
        schema: str | None,
        serializer: Serializer | None,
        sessionmaker: async_sessionmaker[Any] | None = None,
    ) -> None:
        """Take the parameters of `create`, which also sees to the tables."""
        if sessionmaker is not None:
            check_sessions(sessionmaker, async_sessionmaker)
        used = engine if engine is not None else looping_engine(database_url, engine_kwargs)
        super().__init__(database_url, used, engine is None, schema, serializer)
        self.sessionmaker = sessionmaker or async_sessionmaker(expire_on_commit=False)
        self._settle(LoopingPort(used, self.sessionmaker))

    @staticmethod
    async def create(
        database_url: str,
        engine_kwargs: dict[str, Any] | None = None,
        engine: AsyncEngine | None = None,
        schema: str | None = None,
        serializer: Serializer | None = None,
        sessionmaker: async_sessionmaker[Any] | None = None,
        run_migrations: bool = True,
    ) -> AsyncSQLAlchemyDatasource:
        """Open a database as `SQLAlchemyDatasource.create` does; on SQLite the URL is `sqlite+aiosqlite:///...`.

        Raises `DBOSInitializationError` when the tables are behind, `DBOSException` for an unfit sessionmaker.

            shop = await AsyncSQLAlchemyDatasource.create("sqlite+aiosqlite:///shop.sqlite")
        """
        datasource = AsyncSQLAlchemyDatasource(
            database_url=database_url,
            engine_kwargs=engine_kwargs,
            engine=engine,
            schema=schema,
            serializer=serializer,
            sessionmaker=sessionmaker,
        )
        try:
            if run_migrations:
                await datasource.run_migrations()
            else:
                await datasource.verify_migrations()
        except BaseException:
            if datasource.created_engine:
                await datasource.engine.dispose()
            raise
        return datasource

    @staticmethod
    async def migrate(database_url: str, *, schema: str | None = None, application_role: str | None = None) -> None:
        """Create or migrate the tables with a privileged URL, and let `application_role` use them.

        Raises `DBOSException` for a role with SQLite.

            await AsyncSQLAlchemyDatasource.migrate("postgresql://admin@localhost/shop", application_role="shop")
        """
        engine = looping_engine(database_url, None)
        table = table_of(engine, schema)
        checkpoints.refuse_role(table, application_role)
        try:
            await _in_one_transaction(engine, table, *checkpoints.migrating_works(table, application_role))
        finally:
            await engine.dispose()

    @staticmethod
    def for_application() -> AsyncSQLAlchemyDatasource:
        """Return the async twin of `SQLAlchemyDatasource.for_application()`, which creates the tables of both.

        Its connections are not pooled, so that it serves any number of event loops at once.

            shop = AsyncSQLAlchemyDatasource.for_application()
        """
        SQLAlchemyDatasource.for_application()
        application = _lifecycle.launched()
        with opening:
            if AsyncSQLAlchemyDatasource not in application.shared:
                url, schema = application_database(application)
                datasource = AsyncSQLAlchemyDatasource(
                    database_url=url, engine_kwargs={"poolclass": NullPool}, engine=None, schema=schema, serializer=None
                )
                application.shared[AsyncSQLAlchemyDatasource] = datasource
                application.closers.append(functools.partial(datasources.unregister, datasource))
        shared: AsyncSQLAlchemyDatasource = application.shared[AsyncSQLAlchemyDatasource]
        return shared

    async def run_migrations(self) -> None:
        """Create or migrate the tables."""
        await _in_one_transaction(self.engine, self._table, *checkpoints.migrating_works(self._table, None))

    async def verify_migrations(self) -> None:
        """Raise `DBOSInitializationError` when the tables are missing or behind."""
        await _in_one_transaction(
            self.engine, self._table, lambda connection: checkpoints.verify(connection, self._table)
        )

    def sql_session(self) -> AsyncSession:
        """Return the session of the running transaction; AssertionError outside one."""
        session: AsyncSession = self._open_session()
        return session

    async def run_tx_step_async(
        self,
        ds_options: DatasourceOptions | None,
        func: Callable[P, Coroutine[Any, Any, R]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Run a coroutine function in a transaction: in a workflow exactly once, elsewhere as often as it is called.

        Raises what the function raises, after its writes were rolled back; `DBOSException` for a plain function.

            await shop.run_tx_step_async({"isolation_level": "READ COMMITTED"}, order, "book")
        """
        _refuse_plain(func)
        call = self._call(ds_options, func, args, kwargs)
        node = installed()
        if node is not None:
            node.threads.adopt()
        io = node.looping if node is not None else LOOPING
        return cast(R, unwrap(await transact(self._place, node, io, call)))

    @overload
    def transaction(self, func: Callable[P, Coroutine[Any, Any, R]], /) -> Callable[P, Coroutine[Any, Any, R]]: ...

    @overload
    def transaction(
        self, func: None = None, *, name: str | None = None, isolation_level: IsolationLevel = "SERIALIZABLE"
    ) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], Callable[P, Coroutine[Any, Any, R]]]: ...

    def transaction(
        self,
        func: Callable[..., Any] | None = None,
        *,
        name: str | None = None,
        isolation_level: IsolationLevel = "SERIALIZABLE",
    ) -> Any:
        """Make every call of a coroutine function a `run_tx_step_async`.

        @shop.transaction(isolation_level="READ COMMITTED")
        async def order(item: str) -> int: ...
        """
        options: DatasourceOptions = {"name": name, "isolation_level": isolation_level}
        return functools.partial(self._decorated, options) if func is None else self._decorated(options, func)

    def _decorated(self, options: DatasourceOptions, function: Callable[..., Any]) -> Callable[..., Any]:
        _refuse_plain(function)

        @functools.wraps(function)
        async def face(*args: Any, **kwargs: Any) -> Any:
            return await self.run_tx_step_async(options, function, *args, **kwargs)

        return face

    async def finish(self, node: Any, io: Io, run: Run) -> None:
        """Forget a run whose body has ended; a plain workflow, which cannot await, leaves its rows (DS-29)."""
        if io.looping:
            await self._drop([run.workflow_id], 0, functools.partial(confirm, node, io, run))

    async def forget(self, io: Io, workflow_ids: Sequence[str], from_step_id: int) -> None:
        """Forget workflows' outcomes from a step on (DS-31); a blocking caller waits for a loop to do it."""
        unwrap(await io.call(self._drop, (workflow_ids, from_step_id, unchecked), {}))


async def _in_one_transaction(engine: AsyncEngine, table: Table, *works: Callable[[Any], None]) -> None:
    """Run schema work in one transaction, as `checkpoints.in_one_transaction` does."""
    import asyncio

    patience = Patience(checkpoints.MIGRATION_BOUND_SEC)
    while True:
        try:
            async with checkpoints.migrating(engine, table).begin() as connection:
                for work in works:
                    await connection.run_sync(work)
            return
        except Exception as error:
            await asyncio.sleep(patience.after(error))


def _refuse_plain(function: Callable[..., Any]) -> None:
    if not inspect.iscoroutinefunction(function):
        raise DBOSException(
            f"{getattr(function, '__qualname__', function)} is not a coroutine function: use SQLAlchemyDatasource"
        )
