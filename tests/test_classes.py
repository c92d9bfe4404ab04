"""Methods as workflows: classes, configured instances, static and class methods, misuse."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from face import drive
from programs import logged, redispatch, rerun, status_of, step_names, until, workflow_row

from dbos import DBOS, DBOSConfiguredInstance, SetWorkflowID


@pytest.fixture(autouse=True)
def forget_registrations():
    """Forget what tests without `launch` register."""
    yield
    DBOS.destroy(destroy_registry=True)


@pytest.mark.rules("DEC-30", "DEC-33")
async def test_an_instance_method_is_stored_with_class_and_instance_and_found_again(launch, db, face):
    @DBOS.dbos_class("Shop")
    class Shop(DBOSConfiguredInstance):
        def __init__(self, name: str, price: int) -> None:
            super().__init__(name)
            self.price = price

        @face.workflow(name="sell")
        async def sell(self, count: int) -> int:
            return self.price * count

    cheap, dear = Shop("cheap", 1), Shop("dear", 100)
    assert (cheap.config_name, dear.config_name) == ("cheap", "dear")
    launch()
    with SetWorkflowID("cheap"):
        assert await cheap.sell(3) == 3
    with SetWorkflowID("dear"):
        assert await (await face.start(dear.sell, count=3)).get_result() == 300
    for name in ("cheap", "dear"):
        row = workflow_row(db, name)
        assert (row["name"], row["class_name"], row["config_name"]) == ("sell", "Shop", name)
    assert await rerun(face, db, "cheap") == 3
    assert await rerun(face, db, "dear") == 300


@pytest.mark.rules("DEC-33", "DEC-35")
async def test_class_and_static_methods(launch, db, face):
    @DBOS.dbos_class("Shop")
    class Shop(DBOSConfiguredInstance):
        hours = 8

        @classmethod
        @face.workflow(name="open")
        async def open(cls, extra: int) -> int:
            return cls.hours + extra

        @staticmethod
        @face.workflow(name="close")
        async def close(hour: int) -> int:
            return hour

    shop = Shop("corner")
    launch()
    with SetWorkflowID("class"):
        assert await Shop.open(1) == 9
    with SetWorkflowID("static"):
        assert await Shop.close(17) == 17
    assert await shop.open(2) == 10
    assert await shop.close(18) == 18
    assert await (await face.start(Shop.open, 3)).get_result() == 11
    assert await (await face.start(shop.open, 4)).get_result() == 12
    assert await (await face.start(Shop.close, 19)).get_result() == 19
    assert await (await face.start(shop.close, 20)).get_result() == 20
    rows = [workflow_row(db, workflow_id) for workflow_id in ("class", "static")]
    assert [(row["class_name"], row["config_name"]) for row in rows] == [("Shop", None), (None, None)]
    assert await rerun(face, db, "class") == 9
    assert await rerun(face, db, "static") == 17


@pytest.mark.rules("DEC-32")
def test_the_default_name_of_a_class_is_its_qualified_name(launch, db):
    @DBOS.dbos_class()
    class Shop(DBOSConfiguredInstance):
        @DBOS.workflow()
        def sell(self) -> None: ...

    launch()
    with SetWorkflowID("w"):
        Shop("corner").sell()
    row = workflow_row(db, "w")
    assert (row["class_name"], row["name"]) == (Shop.__qualname__, Shop.sell.__qualname__)


@pytest.mark.rules("DEC-31")
def test_a_name_belongs_to_one_instance():
    @DBOS.dbos_class("Shop")
    class Shop(DBOSConfiguredInstance): ...

    @DBOS.dbos_class("Market")
    class Market(DBOSConfiguredInstance): ...

    shop = Shop("corner")
    Market("corner")
    with pytest.raises(Exception, match="Duplicate instance registration for class 'Shop' instance 'corner'"):
        Shop("corner")
    assert shop.config_name == "corner"


@pytest.mark.rules("DEC-32")
def test_a_name_belongs_to_one_class():
    def define(class_name: str | None = None) -> Any:
        @DBOS.dbos_class(class_name)
        class Shop: ...

        return Shop

    define("first")
    define("second")
    with pytest.raises(Exception, match="Duplicate type registration for class 'first'"):
        define("first")
    define()
    with pytest.raises(Exception, match="Duplicate type registration for class '.*Shop'"):
        define()


@pytest.mark.rules("DEC-32")
def test_equally_named_classes_coexist_under_names_of_their_own(launch, db):
    def define(class_name: str) -> Any:
        @DBOS.dbos_class(class_name)
        class Shop(DBOSConfiguredInstance):
            @DBOS.workflow(name=f"sell-{class_name}")
            def sell(self) -> str:
                return class_name

        return Shop("corner")

    first, second = define("first"), define("second")
    launch()
    with SetWorkflowID("1"):
        assert first.sell() == "first"
    with SetWorkflowID("2"):
        assert second.sell() == "second"
    redispatch(db, "1")
    assert DBOS.get_result("1") == "first"
    assert [workflow_row(db, workflow_id)["class_name"] for workflow_id in "12"] == ["first", "second"]


@pytest.mark.rules("DEC-34")
@pytest.mark.parametrize("decorator", [DBOS.workflow, DBOS.step])
def test_ours_may_stand_above_a_static_method_without_arguments(launch, decorator):
    class Shop:
        @decorator(name="static")
        @staticmethod
        def static() -> int:
            return 1

    @DBOS.workflow(name="caller")
    def caller() -> int:
        return Shop.static()

    launch()
    assert Shop.static() == 1
    assert caller() == 1


@pytest.mark.rules("DEC-36")
async def test_an_instance_method_of_an_undecorated_class_is_refused(launch, db, face):
    class Shop(DBOSConfiguredInstance):
        @face.workflow(name="sell")
        async def sell(self) -> None: ...

    shop = Shop("corner")
    launch()
    match = "appears to be a class instance, but is not properly registered"
    with pytest.raises(Exception, match=match):
        await shop.sell()
    with pytest.raises(Exception, match=match):
        await face.start(shop.sell)
    assert db.rows("select 1 from {workflow_status}") == []


@pytest.mark.rules("DEC-36")
async def test_a_class_method_of_an_undecorated_class_is_refused(launch, db, face):
    class Shop:
        @classmethod
        @face.workflow(name="open")
        async def open(cls) -> None: ...

    launch()
    match = "appears to be a class, but is not properly registered"
    with pytest.raises(Exception, match=match):
        await Shop.open()
    with pytest.raises(Exception, match=match):
        await face.start(Shop.open)
    assert db.rows("select 1 from {workflow_status}") == []


@pytest.mark.rules("DEC-36")
async def test_an_instance_without_a_name_is_refused(launch, db, face):
    @DBOS.dbos_class("Shop")
    class Shop:
        @face.workflow(name="sell")
        async def sell(self) -> None: ...

    launch()
    with pytest.raises(Exception, match="does not have `config_name` set"):
        await Shop().sell()
    with pytest.raises(Exception, match="does not have `config_name` set"):
        await face.start(Shop().sell)
    assert db.rows("select 1 from {workflow_status}") == []


@pytest.mark.rules("DEC-36")
async def test_a_bare_workflow_takes_no_class_as_its_first_argument(launch, face):
    @face.workflow()
    async def program(first: Any, second: Any = None) -> str:
        return second.__name__

    launch()
    with pytest.raises(Exception, match="appears to be a class, but is not properly registered"):
        await program(int)
    assert await program(1, str) == "str"


@pytest.mark.rules("DEC-37", "STEP-1")
async def test_steps_of_a_class_need_no_registration(launch, db, face):
    class Shop:
        def __init__(self) -> None:
            self.unpicklable = lambda number: number + 1

        @face.step(name="instance")
        async def instance(self, number: int) -> int:
            return self.unpicklable(number)

        @classmethod
        @face.step(name="class")
        async def of_class(cls) -> str:
            return cls.__name__

        @staticmethod
        @face.step(name="static")
        async def static() -> int:
            return 3

    shop = Shop()

    @face.workflow()
    async def program() -> Any:
        return [await shop.instance(1), await Shop.of_class(), await Shop.static()]

    launch()
    with SetWorkflowID("w"):
        assert await program() == [2, "Shop", 3]
    assert step_names(db, "w") == [(1, "instance"), (2, "class"), (3, "static")]
    assert await rerun(face, db, "w") == [2, "Shop", 3]


@pytest.mark.rules("DEC-39")
async def test_an_undecorated_subclass_goes_by_its_bases_name(launch, db, face):
    @DBOS.dbos_class("Base")
    class Base(DBOSConfiguredInstance):
        @face.workflow(name="describe")
        async def describe(self) -> str:
            return self.description()

        def description(self) -> str:
            return "base"

    class Derived(Base):
        def description(self) -> str:
            return "derived"

    base, derived = Base("base"), Derived("derived")
    launch()
    with SetWorkflowID("base"):
        assert await base.describe() == "base"
    with SetWorkflowID("derived"):
        assert await derived.describe() == "derived"
    row = workflow_row(db, "derived")
    assert (row["class_name"], row["config_name"]) == ("Base", "derived")
    assert await rerun(face, db, "derived") == "derived"
    with pytest.raises(Exception, match="Duplicate instance registration"):
        Derived("base")


@pytest.mark.rules("DEC-38", "ERR-3")
@pytest.mark.parametrize(
    ("column", "value", "named"),
    [("config_name", "elsewhere", "Shop/elsewhere"), ("class_name", "Market", "Market")],
)
def test_a_dispatched_workflow_without_registration_is_logged_and_not_run(launch, db, column, value, named):
    ran: list[int] = []

    @DBOS.dbos_class("Shop")
    class Shop(DBOSConfiguredInstance):
        @DBOS.workflow(name="sell")
        def sell(self) -> None:
            ran.append(1)

    shop = Shop("corner")
    launch()
    with SetWorkflowID("w"):
        shop.sell()
    db.execute(f"update {{workflow_status}} set {column} = ? where workflow_uuid = 'w'", value)
    with logged() as records:
        redispatch(db, "w")
        drive(until(lambda: any("is not registered" in told(record) for record in records)))
    [error] = [record for record in records if "is not registered" in told(record)]
    assert error.levelno == logging.ERROR
    assert named in told(error)
    assert ran == [1]
    assert status_of(db, "w") == "PENDING"


def told(record: logging.LogRecord) -> str:
    """Return what a record says, with its exception."""
    return logging.Formatter().format(record)


@pytest.mark.rules("DEC-33", "EX-4")
async def test_children_and_steps_of_an_instance(launch, db, face):
    @DBOS.dbos_class("Shop")
    class Shop(DBOSConfiguredInstance):
        @face.step(name="price")
        async def price(self, item: str) -> int:
            return len(item)

        @face.workflow(name="sell")
        async def sell(self, item: str) -> int:
            return await self.price(item)

        @face.workflow(name="sell_all")
        async def sell_all(self, items: list[str]) -> int:
            return sum([await self.sell(item) for item in items])

    shop = Shop("corner")
    launch()
    with SetWorkflowID("w"):
        assert await shop.sell_all(["a", "bb"]) == 3
    assert workflow_row(db, "w-1")["config_name"] == "corner"
    assert await rerun(face, db, "w") == 3
