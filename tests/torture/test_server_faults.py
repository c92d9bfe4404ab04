"""A share of the campaign against the server and the way there: nobody notices but by the time it takes."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from proxy import Proxy
from servers import Server, Way, run

SEED = 20261
PACE = 0.15


@pytest.mark.timeout(300)
@pytest.mark.rules("EX-42", "RV-50", "SDB-15", "FT-28")
def test_what_happens_to_a_server_is_not_noticed(postgres_pool: Any) -> None:
    with postgres_pool.database() as db:
        server = Server(db.url, random.Random(SEED), pace=PACE)
        broken = run(db.url, server.faults, lambda _: 1, random.Random(SEED), width=2)
    assert not broken, "\n".join(broken)
    assert set(server.struck) == {"terminate", "lock", "read only"}, f"VOID: only {dict(server.struck)} struck"


@pytest.mark.timeout(300)
@pytest.mark.rules("EX-42", "RV-50", "SDB-15", "FT-28")
def test_what_happens_on_the_way_to_a_server_is_not_noticed(postgres_pool: Any) -> None:
    with postgres_pool.database() as db:
        place = urlsplit(db.url)
        proxy = Proxy(place.hostname or "", place.port or 5432, SEED)
        try:
            way = Way(proxy, random.Random(SEED), pace=PACE)
            url = urlunsplit(place._replace(netloc=f"{place.username}@127.0.0.1:{proxy.port}"))
            broken = run(url, way.faults, lambda _: 1, random.Random(SEED), width=2)
        finally:
            proxy.close()
    assert not broken, "\n".join(broken)
    assert way.struck.total() > 10, f"VOID: only {dict(way.struck)} struck"
