"""Configuration: what users write (`DBOSConfig`), what the rest of the library reads (`Settings`), and `resolve`
between them.

Knows every key, its default and its validity (chapter 1, 2). Leaves connecting to the store.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict, cast

from .._error import DBOSException, DBOSInitializationError
from .serialize import PickleSerializer, Serializer


class DBOSConfig(TypedDict, total=False):
    """The configuration of a `DBOS` application. Only `name` is required; None means "not given".

    DBOS(config={"name": "shop", "system_database_url": "postgresql://localhost/shop"})
    """

    name: str
    """The application's name: 3 to 256 of `a-z 0-9 - _`. Its process acts on rows that carry it."""
    application_version: str | None
    """The version of the code; default: computed from the sources of all workflows."""
    executor_id: str | None
    """Which executor this process is; default: `DBOS__VMID`, else "local"."""
    enable_patching: bool | None
    """Deprecated: only pins the application version."""
    system_database_url: str | None
    """`postgresql://...` or `sqlite:///...`; default: a SQLite file named after the application."""
    application_database_url: str | None
    """The database of `@DBOS.transaction`."""
    database_url: str | None
    """Deprecated alias of `application_database_url`."""
    system_database_engine: Any
    """A SQLAlchemy engine to use instead of connections of our own; never disposed."""
    dbos_system_schema: str | None
    """The Postgres schema of the system tables; default "dbos"."""
    sys_db_pool_size: int | None
    """How many connections the system database's pool holds; default 20."""
    sys_db_polling_concurrency: int | None
    """How many reads of waiting operations run at once; default half the pool, no limit if 0 or less."""
    db_engine_kwargs: dict[str, Any] | None
    """SQLAlchemy engine keywords, merged over the defaults."""
    sys_db_idle_transaction_timeout_sec: float | None
    """Postgres: after how many seconds a transaction left open is ended; default 60, none if 0 or less."""
    observability_query_timeout_sec: float | None
    """Postgres: how many seconds a listing may take; default 30, no limit if 0 or less."""
    use_listen_notify: bool | None
    """Postgres: wake waiters with LISTEN/NOTIFY; default True."""
    run_migrations: bool | None
    """Create and migrate the system database at launch; default True. False only verifies it."""
    notification_listener_polling_interval_sec: float | None
    """How often waiters are looked up where nothing wakes them; default 1.0 seconds."""
    notification_coalesce_sec: float | None
    """For how long notifications are collected; default 0.01 seconds."""
    scheduler_polling_interval_sec: float | None
    """How often schedules are looked up; default 30 seconds."""
    kafka_queue_polling_interval_sec: float | None
    """How often Kafka queues are looked up; default 1.0 seconds."""
    executor_lease_sec: float | None
    """For how many seconds of silence this process counts as alive; then others take over its workflows. Default 30.

    0: this process holds no lease and takes over nobody's workflows but, at launch, those of its own `executor_id`.
    """
    max_executor_threads: int | None
    """The size of the thread pool; default: unbounded."""
    serializer: Serializer | None
    """How values are stored; default: pickle."""
    log_level: str | None
    """The level of the `dbos` logger; default "INFO"."""
    console_log_level: str | None
    """The level of its console handler; default: `log_level`."""
    otlp_log_level: str | None
    """The level of its OTLP handler; default: `log_level`."""
    enable_otlp: bool | None
    """Trace with OpenTelemetry; default False."""
    otlp_traces_endpoints: list[str] | None
    """Where traces are exported to."""
    otlp_logs_endpoints: list[str] | None
    """Where logs are exported to."""
    otlp_attributes: dict[str, str] | None
    """Attributes added to every span and log record."""
    otel_attribute_format: str | None
    """"legacy" or "semconv"."""
    run_admin_server: bool | None
    """Accepted, without effect here."""
    admin_port: int | None
    """Accepted, without effect here."""
    conductor_key: str | None
    """Accepted, without effect here."""
    conductor_url: str | None
    """Accepted, without effect here."""
    conductor_executor_metadata: dict[str, Any] | None
    """Accepted, without effect here; must be JSON-serializable."""
    conductor_metadata_only_mode: bool | None
    """Accepted, without effect here."""
    auto_upgrade: bool | None
    """Move unfinished workflows of older application versions to the latest one, unless they opt out; default False."""
    auto_upgrade_interval_sec: float | None
    """How often they are looked for; default 30 seconds."""
    auto_upgrade_grace_sec: float | None
    """How long a version must have been the latest before running workflows are moved to it; default 0 seconds."""
    sharding: bool | None
    """Not available here: must be false."""
    transact_enterprise_key: str | None
    """Accepted, without effect here."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A valid configuration, complete. Its `repr` shows no secrets."""

    name: str
    application_version: str | None
    executor_id: str
    application_id: str
    cloud: bool
    enable_patching: bool
    system_database_url: str | None = field(repr=False)
    application_database_url: str | None = field(repr=False)
    system_database_engine: Any = field(repr=False)
    system_schema: str
    engine_kwargs: dict[str, Any] = field(repr=False)
    pool_size: int
    polling_concurrency: int | None
    idle_transaction_timeout_ms: int | None
    observe_timeout_ms: int | None
    use_listen_notify: bool
    run_migrations: bool
    notification_polling_sec: float
    notification_coalesce_sec: float
    scheduler_polling_sec: float
    kafka_polling_sec: float
    executor_lease_sec: float
    auto_upgrade: bool
    auto_upgrade_interval_sec: float
    auto_upgrade_grace_sec: float
    max_executor_threads: int | None
    serializer: Serializer
    log_level: str
    console_log_level: str
    otlp_log_level: str
    enable_otlp: bool
    otlp_traces_endpoints: list[str] = field(repr=False)
    otlp_logs_endpoints: list[str] = field(repr=False)
    otlp_attributes: dict[str, str]
    otel_attribute_format: str
    has_conductor_key: bool
    run_admin_server: bool


_NAME = re.compile(r"[a-z0-9_-]{3,256}")
APPLICATION_NAMES = (
    "Application names must be between 3 and 256 characters long and contain only lowercase letters, numbers, dashes, "
    "and underscores."
)
_PORT = re.compile(r"^[^:]*$|:\d*$")  # an authority without a user: a host, with a port or without
SHORTEST_INTERVAL_SEC = 0.001
SHORTEST_LEASE_SEC = 0.5


def resolve(config: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Settings:
    """Return complete settings, or raise DBOSInitializationError naming the key that is wrong and what to do."""
    environ = os.environ if environ is None else environ
    given = {key: value for key, value in config.items() if value is not None}
    cloud = environ.get("DBOS__CLOUD") == "true"
    if cloud:
        given = _managed(given, environ)
    name = _name(given)
    _refuse_unavailable(given)
    system_url, application_url = _urls(given, name)
    engine_kwargs = _engine_kwargs(given, system_url, application_url)
    pool_size = _pool_size(given, engine_kwargs)
    log_level = _level(given, "log_level", "INFO")
    return Settings(
        name=name,
        application_version=_version(given, environ, cloud),
        executor_id=environ.get("DBOS__VMID") or "local" if cloud else executor_id(given.get("executor_id"), environ),
        application_id=environ.get("DBOS__APPID", ""),
        cloud=cloud,
        enable_patching=bool(given.get("enable_patching")),
        system_database_url=system_url,
        application_database_url=application_url,
        system_database_engine=given.get("system_database_engine"),
        system_schema=given.get("dbos_system_schema") or "dbos",
        engine_kwargs=engine_kwargs,
        pool_size=pool_size,
        polling_concurrency=_polling_concurrency(given, pool_size),
        idle_transaction_timeout_ms=_limit_ms(given, "sys_db_idle_transaction_timeout_sec", 60.0),
        observe_timeout_ms=_limit_ms(given, "observability_query_timeout_sec", 30.0),
        use_listen_notify=bool(given.get("use_listen_notify", True)),
        run_migrations=bool(given.get("run_migrations", True)),
        notification_polling_sec=_interval(given, "notification_listener_polling_interval_sec", 1.0),
        notification_coalesce_sec=_interval(given, "notification_coalesce_sec", 0.01),
        scheduler_polling_sec=given.get("scheduler_polling_interval_sec") or 30.0,
        kafka_polling_sec=_interval(given, "kafka_queue_polling_interval_sec", 1.0),
        executor_lease_sec=_lease(given),
        auto_upgrade=bool(given.get("auto_upgrade")),
        auto_upgrade_interval_sec=_positive(given, "auto_upgrade_interval_sec", 30.0),
        auto_upgrade_grace_sec=_grace(given),
        max_executor_threads=_count(given, "max_executor_threads"),
        serializer=_serializer(given),
        log_level=log_level,
        console_log_level=_level(given, "console_log_level", log_level),
        otlp_log_level=_level(given, "otlp_log_level", log_level),
        enable_otlp=cloud or bool(given.get("enable_otlp")),
        otlp_traces_endpoints=_texts(given, "otlp_traces_endpoints"),
        otlp_logs_endpoints=_texts(given, "otlp_logs_endpoints"),
        otlp_attributes=_mapping(given, "otlp_attributes"),
        otel_attribute_format=_attribute_format(given),
        has_conductor_key=bool(given.get("conductor_key")),
        run_admin_server=bool(given.get("run_admin_server")),
    )


def executor_id(configured: str | None, environ: Mapping[str, str] | None = None) -> str:
    """Return the executor id: as configured, from the environment, or "local" (CFG-45)."""
    environ = os.environ if environ is None else environ
    return configured if configured is not None else environ.get("DBOS__VMID") or "local"


def environment_version(environ: Mapping[str, str] | None = None) -> str:
    """Return the version the environment names, "" if none."""
    return (os.environ if environ is None else environ).get("DBOS__APPVERSION", "")


def _managed(given: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the configuration as a managed platform forces it (CFG-51)."""
    kept = {key: value for key, value in given.items() if key not in ("admin_port", "run_admin_server")}
    url, name = environ.get("DBOS_SYSTEM_DATABASE_URL"), environ.get("DBOS_APP_NAME")
    if not url:
        raise DBOSInitializationError("DBOS__CLOUD is set, but DBOS_SYSTEM_DATABASE_URL is not")
    if not name:
        raise DBOSInitializationError("DBOS__CLOUD is set, but DBOS_APP_NAME is not")
    for key, variable in (
        ("otlp_traces_endpoints", "DBOS__OTLP_TRACES_ENDPOINT"),
        ("otlp_logs_endpoints", "DBOS__OTLP_LOGS_ENDPOINT"),
    ):
        if environ.get(variable):
            kept[key] = [*_texts(kept, key), environ[variable]]
    return {**kept, "name": name, "system_database_url": url, "dbos_system_schema": "dbos"}


def _name(given: Mapping[str, Any]) -> str:
    name = given.get("name")
    if not name:
        raise DBOSInitializationError("Configuration must specify an application name")
    if not is_application_name(name):
        raise DBOSInitializationError(f"Invalid app name {name!r}. {APPLICATION_NAMES}")
    return str(name)


def is_application_name(name: object) -> bool:
    """Tell whether an application may have this name (APP-1)."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def _refuse_unavailable(given: Mapping[str, Any]) -> None:
    if given.get("sharding"):
        raise DBOSInitializationError("sharding is not available in this implementation: leave it out")
    try:
        json.dumps(given.get("conductor_executor_metadata"))
    except (TypeError, ValueError) as error:
        raise DBOSException(f"conductor_executor_metadata must be JSON-serializable: {error}") from error


def _urls(given: Mapping[str, Any], name: str) -> tuple[str | None, str | None]:
    """Return the URLs of the system and the application database (CFG-20..24, CFG-27)."""
    application = given.get("database_url") or given.get("application_database_url") or None
    system = given.get("system_database_url") or None
    has_engine = given.get("system_database_engine") is not None
    if application is not None:
        check_url("application_database_url", application)
    if system is not None and not has_engine:
        check_url("system_database_url", system)
    if system is None and application is not None:
        system = derived_url(application)
    if system is None and not has_engine:
        system = default_url(name)
    return system, application


def check_url(key: str, url: str) -> None:
    """Raise DBOSInitializationError for a URL that is of no known database or names none (CFG-20, CFG-21)."""
    if url.startswith("sqlite"):
        return
    scheme, separator, _ = url.partition("://")
    if not separator or scheme.partition("+")[0] not in ("postgresql", "postgres", "cockroachdb"):
        raise DBOSInitializationError(
            f"{key} is not the URL of a known database: expected `postgresql://user@host/database` or "
            f"`sqlite:///file.sqlite`"
        )
    if not database_name(url):
        raise DBOSInitializationError(
            f"Database name must be specified in the connection URL ({key}): `postgresql://user@host/database`"
        )


def limit_ms(key: str, seconds: float | None, default_sec: float) -> int | None:
    """Return a limit given in seconds in whole milliseconds; None when it is disabled (CFG-13)."""
    return _limit_ms({} if seconds is None else {key: seconds}, key, default_sec)


def derived_url(application_url: str) -> str:
    """Return the URL of the system database that goes with an application's (CFG-21, CLT-2)."""
    return application_url if application_url.startswith("sqlite") else _suffixed(application_url, "_dbos_sys")


def default_url(name: str) -> str:
    """Return the URL of the SQLite file an application uses by default (CFG-22)."""
    stem = name.lower().replace("-", "_").replace(" ", "_")
    return f"sqlite:///{'_' if stem[:1].isdigit() else ''}{stem}.sqlite"


def database_name(url: str) -> str:
    """Return the database a URL names, "" if none."""
    rest = url.partition("://")[2].partition("?")[0]
    authority, _, database = rest.partition("/")
    if "@" not in authority and "@" in database and not _PORT.search(authority):
        database = database.partition("@")[2].partition("/")[2]  # the first slash belonged to the password
    return database


def _suffixed(url: str, suffix: str) -> str:
    path, question, query = url.partition("?")
    return f"{path}{suffix}{question}{query}"


def _engine_kwargs(given: Mapping[str, Any], system_url: str | None, application_url: str | None) -> dict[str, Any]:
    """Return the engine keywords: the user's over the defaults (CFG-25, CFG-30..33)."""
    merged: dict[str, Any] = {"pool_size": 20, "max_overflow": 0, "pool_timeout": 30, "pool_pre_ping": True}
    merged.update(_mapping(given, "db_engine_kwargs"))
    merged.setdefault("connect_args", {"application_name": "dbos_transact"})
    arguments = _mapping(merged, "connect_args")
    if "connect_timeout" not in arguments:
        timeouts = (_connect_timeout(url) for url in (system_url, application_url))
        arguments["connect_timeout"] = next((seconds for seconds in timeouts if seconds is not None), 10)
    if system_url is not None and system_url.startswith("sqlite"):
        arguments = {k: v for k, v in arguments.items() if k not in ("application_name", "connect_timeout")}
    if getattr(merged.get("poolclass"), "__name__", "") == "NullPool":
        for key in ("pool_size", "max_overflow", "pool_timeout", "pool_pre_ping"):
            merged.pop(key, None)
        if given.get("sys_db_pool_size"):
            merged["pool_size"] = given["sys_db_pool_size"]
    return {**merged, "connect_args": arguments}


def _connect_timeout(url: str | None) -> int | None:
    """Return the URL's `connect_timeout` when it is a whole number (CFG-25)."""
    if url is None or "?" not in url:
        return None
    values: list[str] = re.findall(r"(?:^|&)connect_timeout=([^&]*)", url.split("?", 1)[1])
    if len(values) > 1:
        raise AssertionError("connect_timeout is given more than once in the database URL: give it once")
    return int(values[0]) if values and values[0].isdecimal() else None


def _pool_size(given: Mapping[str, Any], engine_kwargs: Mapping[str, Any]) -> int:
    """Return how many connections the system database's pool holds: a user's engine has a pool of its own (CFG-31)."""
    size = getattr(getattr(given.get("system_database_engine"), "pool", None), "size", None)
    if callable(size):
        return max(1, int(size()))
    return _count(given, "sys_db_pool_size") or _count(engine_kwargs, "pool_size") or 20


def _polling_concurrency(given: Mapping[str, Any], pool_size: int) -> int | None:
    """Return how many reads of waiters may run at once; None means any number (CFG-34)."""
    key = "sys_db_polling_concurrency"
    if given.get(key) is None:
        return max(1, pool_size // 2)
    _require_number(given, key, lambda count: count == int(count), "whole number")
    return int(given[key]) if given[key] > 0 else None


def _version(given: Mapping[str, Any], environ: Mapping[str, str], cloud: bool) -> str | None:
    if not cloud and given.get("application_version") is not None:
        return str(given["application_version"])
    if not cloud and given.get("enable_patching") is True:
        return "PATCHING_ENABLED"
    return environ.get("DBOS__APPVERSION") or None


def _interval(given: Mapping[str, Any], key: str, default: float) -> float:
    rule = f"finite number of at least {SHORTEST_INTERVAL_SEC} seconds"
    _require_number(given, key, lambda seconds: seconds >= SHORTEST_INTERVAL_SEC, rule)
    value: float = given.get(key, default)
    return value


def _positive(given: Mapping[str, Any], key: str, default_sec: float) -> float:
    _require_number(given, key, lambda seconds: seconds > 0, "finite number greater than 0")
    return float(given.get(key, default_sec))


def _grace(given: Mapping[str, Any]) -> float:
    key = "auto_upgrade_grace_sec"
    _require_number(given, key, lambda seconds: seconds >= 0, "finite number of at least 0")
    return float(given.get(key, 0.0))


def _lease(given: Mapping[str, Any]) -> float:
    """Return the seconds of a lease, 0 for none; a shorter one than half a second would run out under load."""
    key, rule = "executor_lease_sec", f"finite number of at least {SHORTEST_LEASE_SEC} seconds (0 turns leases off)"
    _require_number(given, key, lambda seconds: seconds == 0 or seconds >= SHORTEST_LEASE_SEC, rule)
    return float(given.get(key, 30.0))


def _limit_ms(given: Mapping[str, Any], key: str, default_sec: float) -> int | None:
    """Return a limit in whole milliseconds, at least 1; None when it is disabled (CFG-13)."""
    _require_number(given, key, lambda _: True, "finite number of seconds (0 disables the limit)")
    seconds: float = given.get(key, default_sec)
    return max(1, round(seconds * 1000)) if seconds > 0 else None


def _count(given: Mapping[str, Any], key: str) -> int | None:
    """Return a whole number from 1, None when it is not given or 0."""
    _require_number(given, key, lambda count: count >= 0 and count == int(count), "whole number of at least 1")
    return int(given[key]) if given.get(key) else None


def _require_number(given: Mapping[str, Any], key: str, holds: Callable[[Any], bool], rule: str) -> None:
    value = given.get(key)
    if value is None:
        return
    if not isinstance(value, (int, float)) or not math.isfinite(value) or not holds(value):
        raise DBOSInitializationError(f"{key} must be a {rule}, got {value!r}")


def _mapping(given: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = given.get(key) or {}
    if not isinstance(value, Mapping):
        raise DBOSInitializationError(f"{key} must be a dictionary, got {type(value).__name__}")
    return dict(value)


def _level(given: Mapping[str, Any], key: str, default: str) -> str:
    """Return a level of the logging module, by name or number."""
    level = given.get(key, default)
    known = isinstance(level, int) or (isinstance(level, str) and isinstance(logging.getLevelName(level), int))
    if not known:
        raise DBOSInitializationError(
            f"{key} must be the name of a log level (DEBUG, INFO, WARNING, ERROR or CRITICAL), got {level!r}"
        )
    return cast(str, level)  # a level's number serves as well as its name


def _serializer(given: Mapping[str, Any]) -> Serializer:
    serializer = given.get("serializer")
    if serializer is None:
        return PickleSerializer()
    methods = (getattr(serializer, name, None) for name in ("serialize", "deserialize", "name"))
    if isinstance(serializer, type) or not all(map(callable, methods)):
        raise DBOSInitializationError(
            f"serializer must be an instance of a subclass of dbos.Serializer, got {type(serializer).__name__}"
        )
    return cast(Serializer, serializer)


def _texts(given: Mapping[str, Any], key: str) -> list[str]:
    value = given.get(key)
    return list(value) if isinstance(value, list) else []


def _attribute_format(given: Mapping[str, Any]) -> str:
    value = given.get("otel_attribute_format") or "legacy"
    if value not in ("legacy", "semconv"):
        raise DBOSInitializationError(f'otel_attribute_format must be "legacy" or "semconv", got {value!r}')
    return str(value)
