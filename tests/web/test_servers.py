"""Programs under Django and pre-fork servers: processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import dbos

HOME = str(Path(dbos.__file__).parent.parent)
APP = """
import sys
sys.path.insert(0, {home!r})
from django.apps import AppConfig
from dbos import DBOS

@DBOS.step()
def charge(order):
    return f"charged for {{order}}"

@DBOS.workflow()
def checkout(order):
    return charge(order)

class ShopConfig(AppConfig):
    name = "shop"
    label = "shop"
    path = {path!r}

    def ready(self):
        DBOS(config={{"name": "shop", "system_database_url": {url!r}, "log_level": "ERROR"}})
        DBOS.launch()
"""
MANAGE = """
import sys
import django
from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.management.base import BaseCommand
from django.http import HttpResponse
from django.urls import path

def view(request, order):
    from shop import checkout
    return HttpResponse(checkout(order))

urlpatterns = [path("checkout/<str:order>", view)]
settings.configure(INSTALLED_APPS=["shop.ShopConfig"], ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], DEBUG=False)
if sys.argv[1] == "request":
    django.setup()
    from django.test import Client
    print(Client().get("/checkout/book").content.decode())
else:
    execute_from_command_line(sys.argv)
"""


def run(*arguments: str, **options: Any) -> str:
    """Run Python and return what it printed."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=60, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.rules("WFI-15", "WFI-18")
@pytest.mark.parametrize(("command", "printed"), [("request", "charged for book"), ("check", "no issues")])
def test_django(db, tmp_path, command, printed):
    """A view calls a workflow, and a short-lived management command ends."""
    (tmp_path / "shop.py").write_text(APP.format(home=HOME, url=db.url, path=str(tmp_path)))
    (tmp_path / "manage.py").write_text(MANAGE)
    assert printed in run("manage.py", command, cwd=tmp_path)


READY_TWICE = """
    def ready(self):
        import os

        print("ready", flush=True)
        if os.environ.get("RUN_MAIN"):
            DBOS(config={{"name": "shop", "system_database_url": {url!r}, "log_level": "ERROR"}})
            DBOS.launch()
            print(checkout("book"), flush=True)
            DBOS.destroy()
            os._exit(0)  # the server would run for ever
"""


@pytest.mark.rules("WFI-16")
def test_under_djangos_reloader_only_the_process_that_serves_launches(tmp_path):
    launched_by_all, _ = APP.split("    def ready(self):")
    app = launched_by_all + READY_TWICE.removeprefix("\n")
    url = f"sqlite:///{tmp_path}/shop.sqlite"
    (tmp_path / "shop.py").write_text(app.format(home=HOME, url=url, path=str(tmp_path)))
    (tmp_path / "manage.py").write_text(MANAGE)
    printed = run("manage.py", "runserver", "127.0.0.1:0", cwd=tmp_path).splitlines()
    assert (printed.count("ready"), printed.count("charged for book")) == (2, 1)


FORKED = """
import os, sys
sys.path.insert(0, {home!r})
from dbos import DBOS

@DBOS.workflow()
def one():
    return 1

config = {{"name": "shop", "system_database_url": {url!r}, "log_level": "ERROR"}}
DBOS(config=config)
DBOS.launch()
assert one() == 1
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    said = []
    for attempt in (one, DBOS.list_workflows):
        try:
            attempt()
        except Exception as error:
            said.append(f"{{type(error).__name__}} {{error}}")
    DBOS(config=config)
    DBOS.launch()
    said.append(f"after launching {{one()}}")
    DBOS.destroy()
    os.write(writer, "\\n".join(said).encode())
    os._exit(0)
os.waitpid(child, 0)
print(os.read(reader, 100_000).decode())
print("parent", one())
DBOS.destroy()
"""


@pytest.mark.rules("WFI-17")
@pytest.mark.filterwarnings("ignore:This process")
def test_a_process_forked_after_the_launch_is_told_so(db):
    first, second, third, parent = run("-c", FORKED.format(home=HOME, url=db.url)).splitlines()
    for said in (first, second):
        assert said.startswith("DBOSException")
        assert "launch DBOS after the fork" in said
    assert (third, parent) == ("after launching 1", "parent 1")
