"""`resolve`: from what users write to complete settings."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from dbos._model.config import Settings, database_name, resolve
from dbos._model.serialize import DBOSPortableJSONSerializer
from dbos.error import DBOSException, DBOSInitializationError

NAME = "testapp"
POSTGRES = "postgresql://user:secret@host:5433/database"


def settings(**config: Any) -> Settings:
    return resolve({"name": NAME, **config}, {})


# --- keys


@pytest.mark.rules("CFG-2")
@pytest.mark.parametrize(
    ("attribute", "default"),
    [
        ("application_version", None),
        ("executor_id", "local"),
        ("application_id", ""),
        ("enable_patching", False),
        ("application_database_url", None),
        ("system_database_engine", None),
        ("system_schema", "dbos"),
        ("pool_size", 20),
        ("polling_concurrency", 10),
        ("idle_transaction_timeout_ms", 60_000),
        ("observe_timeout_ms", 30_000),
        ("use_listen_notify", True),
        ("run_migrations", True),
        ("notification_polling_sec", 1.0),
        ("notification_coalesce_sec", 0.01),
        ("scheduler_polling_sec", 30.0),
        ("kafka_polling_sec", 1.0),
        ("max_executor_threads", None),
        ("log_level", "INFO"),
        ("console_log_level", "INFO"),
        ("otlp_log_level", "INFO"),
        ("enable_otlp", False),
        ("otlp_traces_endpoints", []),
        ("otlp_logs_endpoints", []),
        ("otlp_attributes", {}),
        ("otel_attribute_format", "legacy"),
        ("run_admin_server", False),
    ],
)
def test_every_key_has_its_default(attribute, default):
    assert getattr(settings(), attribute) == default


@pytest.mark.rules("CFG-2", "SER-1", "SER-2")
def test_the_default_serializer_is_pickle():
    assert settings().serializer.name() == "py_pickle"
    mine = DBOSPortableJSONSerializer()
    assert settings(serializer=mine).serializer is mine


@pytest.mark.rules("CFG-2")
def test_none_means_not_given():
    from dbos import DBOSConfig

    given = dict.fromkeys(DBOSConfig.__annotations__)
    written = dataclasses.asdict(dataclasses.replace(settings(**{**given, "name": NAME}), serializer=None))
    assert written == dataclasses.asdict(dataclasses.replace(settings(), serializer=None))


@pytest.mark.rules("CFG-1")
def test_unknown_keys_are_ignored():
    assert settings(no_such_key=1).name == NAME


@pytest.mark.rules("CFG-2")
@pytest.mark.parametrize("key", ["scheduler_polling_interval_sec", "max_executor_threads"])
def test_a_falsy_value_means_the_default(key):
    assert settings(**{key: 0}).scheduler_polling_sec == 30.0
    assert settings(**{key: 0}).max_executor_threads is None


@pytest.mark.rules("CFG-2", "LOG-5")
def test_the_handlers_levels_follow_the_loggers():
    assert settings(log_level="DEBUG").console_log_level == "DEBUG"
    assert settings(log_level="DEBUG").otlp_log_level == "DEBUG"
    mixed = settings(log_level="DEBUG", console_log_level="WARNING", otlp_log_level="ERROR")
    assert (mixed.log_level, mixed.console_log_level, mixed.otlp_log_level) == ("DEBUG", "WARNING", "ERROR")


@pytest.mark.rules("CFG-2")
@pytest.mark.parametrize("value", ["http://collector", 7, {"a": 1}])
def test_endpoints_that_are_no_list_are_ignored(value):
    resolved = settings(otlp_traces_endpoints=value, otlp_logs_endpoints=value)
    assert resolved.otlp_traces_endpoints == resolved.otlp_logs_endpoints == []


@pytest.mark.rules("CFG-2")
def test_conductor_metadata_must_be_json():
    assert settings(conductor_executor_metadata={"zone": 1}).name == NAME
    with pytest.raises(DBOSException, match="conductor_executor_metadata"):
        settings(conductor_executor_metadata={"zone": object()})


@pytest.mark.rules("LOG-8")
def test_the_representation_shows_no_secret():
    shown = repr(settings(system_database_url=POSTGRES, db_engine_kwargs={"connect_args": {"password": "secret"}}))
    assert "secret" not in shown


# --- validation


@pytest.mark.rules("CFG-10")
@pytest.mark.parametrize("config", [{}, {"name": None}, {"name": ""}])
def test_a_name_is_required(config):
    with pytest.raises(DBOSInitializationError, match="Configuration must specify an application name"):
        resolve(config, {})


@pytest.mark.rules("CFG-10")
@pytest.mark.parametrize("name", ["abc", "a" * 256, "a-b_c", "123", "0-_"])
def test_valid_names(name):
    assert resolve({"name": name}, {}).name == name


@pytest.mark.rules("CFG-10")
@pytest.mark.parametrize("name", ["ab", "a" * 257, "a b c", "Abc", "abc!", "abc\n", "äbc", "ab٣"])
def test_invalid_names(name):
    with pytest.raises(DBOSInitializationError, match="Invalid app name"):
        resolve({"name": name}, {})


INTERVALS = [
    "notification_listener_polling_interval_sec",
    "notification_coalesce_sec",
    "kafka_queue_polling_interval_sec",
]


@pytest.mark.rules("CFG-11")
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0, 0.0009, -1])
@pytest.mark.parametrize("key", INTERVALS)
def test_an_interval_must_be_finite_and_long_enough(key, value):
    with pytest.raises(DBOSInitializationError, match=key):
        settings(**{key: value})


@pytest.mark.rules("CFG-11")
@pytest.mark.parametrize("key", INTERVALS)
def test_an_interval_may_be_a_millisecond(key):
    resolved = settings(**{key: 0.001})
    assert 0.001 in (resolved.notification_polling_sec, resolved.notification_coalesce_sec, resolved.kafka_polling_sec)


@pytest.mark.rules("CFG-12", "AUP-1")
@pytest.mark.parametrize(
    ("key", "value", "valid"),
    [
        ("auto_upgrade_interval_sec", 0.5, True),
        ("auto_upgrade_interval_sec", 0, False),
        ("auto_upgrade_interval_sec", -1, False),
        ("auto_upgrade_interval_sec", math.nan, False),
        ("auto_upgrade_interval_sec", math.inf, False),
        ("auto_upgrade_grace_sec", 0, True),
        ("auto_upgrade_grace_sec", -0.1, False),
        ("auto_upgrade_grace_sec", math.nan, False),
        ("auto_upgrade_grace_sec", math.inf, False),
    ],
)
def test_upgrade_intervals_are_validated(key, value, valid):
    if valid:
        assert settings(**{key: value}).name == NAME
        return
    with pytest.raises(DBOSInitializationError, match=key):
        settings(**{key: value})


LIMITS = [
    ("sys_db_idle_transaction_timeout_sec", "idle_transaction_timeout_ms"),
    ("observability_query_timeout_sec", "observe_timeout_ms"),
]


@pytest.mark.rules("CFG-13", "CFG-35", "CFG-36")
@pytest.mark.parametrize(("key", "attribute"), LIMITS)
@pytest.mark.parametrize(
    ("seconds", "milliseconds"), [(2.5, 2500), (0.0004, 1), (0.0016, 2), (0, None), (-1, None), (None, ...)]
)
def test_a_limit_is_in_whole_milliseconds_or_off(key, attribute, seconds, milliseconds):
    expected = getattr(settings(), attribute) if milliseconds is ... else milliseconds
    assert getattr(settings(**{key: seconds}), attribute) == expected


@pytest.mark.rules("CFG-13")
@pytest.mark.parametrize(("key", "attribute"), LIMITS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_limit_must_be_finite(key, attribute, value):
    with pytest.raises(DBOSInitializationError, match=key):
        settings(**{key: value})


@pytest.mark.rules("CFG-39")
def test_sharding_is_refused():
    for falsy in (False, None, 0):
        assert settings(sharding=falsy).name == NAME
    with pytest.raises(DBOSInitializationError, match="sharding is not available"):
        settings(sharding=True)


@pytest.mark.rules("AUP-1")
def test_upgrades_are_off_by_default():
    given = settings()
    assert (given.auto_upgrade, given.auto_upgrade_interval_sec, given.auto_upgrade_grace_sec) == (False, 30.0, 0.0)


@pytest.mark.rules("CFG-2", "CFG-14")
@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((key, "1") for key in INTERVALS),
        ("sys_db_idle_transaction_timeout_sec", "60"),
        ("sys_db_pool_size", -1),
        ("sys_db_pool_size", 2.5),
        ("sys_db_pool_size", "20"),
        ("sys_db_polling_concurrency", "1"),
        ("sys_db_polling_concurrency", 1.5),
        ("max_executor_threads", -1),
        ("max_executor_threads", "4"),
        ("db_engine_kwargs", [("pool_size", 3)]),
        ("otlp_attributes", ["team"]),
        ("serializer", "json"),
        ("serializer", DBOSPortableJSONSerializer),
        ("log_level", "debug"),
        ("log_level", "LOUD"),
        ("console_log_level", "LOUD"),
        ("otlp_log_level", "LOUD"),
        ("log_level", 1.5),
        ("otel_attribute_format", "other"),
        ("system_database_url", "my database"),
        ("system_database_url", "mysql://host/database"),
        ("application_database_url", "mysql://host/database"),
    ],
)
def test_a_value_that_cannot_work_is_refused_by_its_key(key, value):
    with pytest.raises(DBOSInitializationError, match=key):
        settings(**{key: value})


@pytest.mark.rules("CFG-30")
def test_the_drivers_arguments_must_be_a_dictionary():
    with pytest.raises(DBOSInitializationError, match="connect_args"):
        settings(db_engine_kwargs={"connect_args": "sslmode=require"})


@pytest.mark.rules("LOG-5")
def test_a_level_may_be_a_number():
    assert settings(log_level=15).log_level == 15


@pytest.mark.rules("SER-1")
def test_a_serializer_need_not_derive_from_ours():
    class Duck:
        serialize = deserialize = name = print

    assert settings(serializer=Duck()).serializer.__class__ is Duck


# --- database URLs


@pytest.mark.rules("CFG-20", "CFG-24")
@pytest.mark.parametrize(
    "url",
    [
        POSTGRES,
        "postgres://host/database",
        "postgresql+psycopg2://user@host/database?sslmode=require",
        "postgresql:///database",
        "sqlite:///relative.sqlite",
        "sqlite:////tmp/absolute.sqlite",
        "sqlite://",
    ],
)
def test_a_system_url_alone_gives_no_application_database(url):
    resolved = settings(system_database_url=url)
    assert (resolved.system_database_url, resolved.application_database_url) == (url, None)


@pytest.mark.rules("CFG-21")
@pytest.mark.parametrize("url", ["postgresql://host", "postgresql://host/", "postgresql://user:pw@host:1/?a=b/c"])
@pytest.mark.parametrize("key", ["system_database_url", "application_database_url", "database_url"])
def test_a_url_must_name_a_database(key, url):
    with pytest.raises(DBOSInitializationError, match="Database name must be specified in the connection URL"):
        settings(**{key: url})


@pytest.mark.rules("CFG-22")
@pytest.mark.parametrize("url", [None, ""])
@pytest.mark.parametrize(
    ("name", "stem"), [("some-app", "some_app"), ("app", "app"), ("1-app", "_1_app"), ("-app", "_app")]
)
def test_without_a_url_a_file_is_named_after_the_application(name, stem, url):
    resolved = resolve({"name": name, "system_database_url": url}, {})
    assert resolved.system_database_url == f"sqlite:///{stem}.sqlite"
    assert resolved.application_database_url is None


@pytest.mark.rules("CFG-23", "CFG-15")
@pytest.mark.parametrize("key", ["application_database_url", "database_url"])
@pytest.mark.parametrize(
    ("application", "system"),
    [
        ("sqlite:///mine.sqlite", "sqlite:///mine.sqlite"),
        (POSTGRES, POSTGRES + "_dbos_sys"),
        ("postgresql://u:p@h/mine?connect_timeout=3&a=b", "postgresql://u:p@h/mine_dbos_sys?connect_timeout=3&a=b"),
    ],
)
def test_the_system_url_follows_from_the_applications(key, application, system):
    resolved = settings(**{key: application})
    assert (resolved.system_database_url, resolved.application_database_url) == (system, application)


@pytest.mark.rules("CFG-2", "CFG-15")
def test_the_older_key_of_the_application_database_wins():
    resolved = settings(database_url="sqlite:///old", application_database_url="sqlite:///new")
    assert resolved.application_database_url == "sqlite:///old"


@pytest.mark.rules("CFG-27")
def test_an_engine_needs_no_url():
    engine = object()
    resolved = settings(system_database_engine=engine)
    assert resolved.system_database_engine is engine
    assert resolved.system_database_url is None


@pytest.mark.rules("CFG-27")
@pytest.mark.parametrize("url", ["bogus", "other://", "postgresql://host"])
def test_beside_an_engine_the_url_is_not_looked_at(url):
    assert settings(system_database_engine=object(), system_database_url=url).system_database_url == url


@pytest.mark.rules("CFG-21", "CFG-26")
@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://host/database", "database"),
        ("postgresql://host:5433/F8nny@-n@m3.x", "F8nny@-n@m3.x"),
        ("postgresql://host/x@y", "x@y"),
        ("postgresql://user:a%2Fb@host/database", "database"),
        ("postgresql://user:a/b@host/database", "database"),
        ("postgresql://user:a/b@host", ""),
        ("postgresql://[::1]:5433/database", "database"),
        ("postgresql:///database?host=/tmp/socket", "database"),
    ],
)
def test_the_database_a_url_names(url, name):
    assert database_name(url) == name


@pytest.mark.rules("CFG-25")
@pytest.mark.parametrize(
    ("config", "seconds"),
    [
        ({}, 10),
        ({"system_database_url": POSTGRES + "?connect_timeout=7"}, 7),
        ({"system_database_url": POSTGRES + "?a=b&connect_timeout=7"}, 7),
        ({"system_database_url": POSTGRES + "?connect_timeout=soon"}, 10),
        ({"system_database_url": POSTGRES + "?connect_timeout=0"}, 0),
        ({"system_database_url": POSTGRES + "?connect_timeout=-1"}, 10),
        ({"application_database_url": POSTGRES + "?connect_timeout=4"}, 4),
        (
            {
                "application_database_url": POSTGRES + "?connect_timeout=4",
                "system_database_url": POSTGRES + "?connect_timeout=7",
            },
            7,
        ),
        (
            {
                "system_database_url": POSTGRES + "?connect_timeout=7",
                "db_engine_kwargs": {"connect_args": {"connect_timeout": 3}},
            },
            3,
        ),
    ],
)
def test_the_connect_timeout_comes_from_the_url(config, seconds):
    config = {"system_database_url": POSTGRES, **config}
    assert settings(**config).engine_kwargs["connect_args"]["connect_timeout"] == seconds


@pytest.mark.rules("CFG-25")
def test_a_repeated_connect_timeout_is_an_error():
    with pytest.raises(AssertionError):
        settings(system_database_url=POSTGRES + "?connect_timeout=1&connect_timeout=2")


# --- engine and pool


@pytest.mark.rules("CFG-30")
def test_the_engines_defaults():
    assert settings(system_database_url=POSTGRES).engine_kwargs == {
        "pool_size": 20,
        "max_overflow": 0,
        "pool_timeout": 30,
        "pool_pre_ping": True,
        "connect_args": {"application_name": "dbos_transact", "connect_timeout": 10},
    }


@pytest.mark.rules("CFG-30", "CFG-33")
def test_engine_keywords_are_merged_shallowly_over_the_defaults():
    given = {"pool_size": 5, "echo": True, "connect_args": {"sslmode": "require"}}
    resolved = settings(system_database_url=POSTGRES, db_engine_kwargs=given)
    assert resolved.engine_kwargs == {
        "pool_size": 5,
        "max_overflow": 0,
        "pool_timeout": 30,
        "pool_pre_ping": True,
        "echo": True,
        "connect_args": {"sslmode": "require", "connect_timeout": 10},
    }
    assert given == {"pool_size": 5, "echo": True, "connect_args": {"sslmode": "require"}}


@pytest.mark.rules("CFG-31", "CFG-30")
def test_the_system_databases_pool_size():
    assert settings(db_engine_kwargs={"pool_size": 5}).pool_size == 5
    both = settings(db_engine_kwargs={"pool_size": 5}, sys_db_pool_size=7)
    assert (both.pool_size, both.engine_kwargs["pool_size"]) == (7, 5)


class NullPool:
    """Stand for SQLAlchemy's, which is known by its name."""


@pytest.mark.rules("CFG-32")
def test_a_null_pool_has_no_pool_keywords():
    resolved = settings(db_engine_kwargs={"poolclass": NullPool, "pool_size": 3}, system_database_url=POSTGRES)
    assert set(resolved.engine_kwargs) == {"poolclass", "connect_args"}
    resolved = settings(db_engine_kwargs={"poolclass": NullPool}, sys_db_pool_size=4, system_database_url=POSTGRES)
    assert (resolved.engine_kwargs["pool_size"], resolved.pool_size) == (4, 4)


@pytest.mark.rules("CFG-33")
def test_sqlite_gets_no_postgres_arguments():
    given = {"connect_args": {"application_name": "mine", "connect_timeout": 3, "cached_statements": 9}}
    resolved = settings(system_database_url="sqlite:///a.sqlite", db_engine_kwargs=given)
    assert resolved.engine_kwargs["connect_args"] == {"cached_statements": 9}
    assert set(given["connect_args"]) == {"application_name", "connect_timeout", "cached_statements"}
    assert settings(system_database_url="sqlite:///a.sqlite").engine_kwargs["connect_args"] == {}


@pytest.mark.rules("CFG-34")
@pytest.mark.parametrize(
    ("config", "concurrency"),
    [
        ({}, 10),
        ({"sys_db_pool_size": 6}, 3),
        ({"db_engine_kwargs": {"pool_size": 8}}, 4),
        ({"sys_db_pool_size": 1}, 1),
        ({"sys_db_polling_concurrency": 3}, 3),
        ({"sys_db_polling_concurrency": 0}, None),
        ({"sys_db_polling_concurrency": -1}, None),
    ],
)
def test_waiters_read_with_half_the_pool(config, concurrency):
    assert settings(**config).polling_concurrency == concurrency


class Engine:
    """Stand for a user's SQLAlchemy engine, whose pool knows its size."""

    class pool:
        @staticmethod
        def size() -> int:
            return 6


@pytest.mark.rules("CFG-34", "CFG-27")
def test_an_engines_real_pool_counts():
    resolved = settings(system_database_engine=Engine(), sys_db_pool_size=40)
    assert (resolved.pool_size, resolved.polling_concurrency) == (6, 3)
