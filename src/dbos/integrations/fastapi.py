"""`DBOS(fastapi=app)`: DBOS lives as long as the server, and each request has a DBOS context.

One ASGI middleware hears both the lifespan and the requests; what a request gets is `requests`'. Imported only when an
app is given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse

from .._error import DBOSException
from .requests import IDEMPOTENCY_KEY, REQUEST_ID, Handling, Request

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Life:
    """What the glue asks of the application it belongs to."""

    start: Callable[[], None]
    stop: Callable[[], None]
    telemetry: Callable[[], Any]


def attach(app: FastAPI, life: Life) -> None:
    """Add middleware and error handler to an app that has not served yet (WFI-3)."""
    app.add_middleware(Middleware, life=life)
    app.add_exception_handler(DBOSException, _answer)


async def _answer(request: HttpRequest, error: Exception) -> JSONResponse:
    """Answer a request that a `DBOSException` ended (WFI-7)."""
    assert isinstance(error, DBOSException)
    body = {
        "message": error.message,
        "dbos_error_code": str(error.dbos_error_code),
        "dbos_error": type(error).__name__,
    }
    return JSONResponse(body, status_code=error.status_code or 500)


class Middleware:
    """Stands around the whole app."""

    def __init__(self, app: App, life: Life) -> None:
        self._app = app
        self._life = life

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection of the server."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, self._heard(send))
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _heard(self, send: Send) -> Send:
        """Launch once the app has started, and destroy once it has stopped, before the server hears of either."""

        async def hear(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                self._life.start()  # here, so that this loop is the main loop (LOOP-2)
            elif message["type"] == "lifespan.shutdown.complete":
                # Elsewhere, so that workflows on this loop can end meanwhile.
                with ThreadPoolExecutor(1, thread_name_prefix="dbos-destroy") as own:
                    await asyncio.get_running_loop().run_in_executor(own, self._life.stop)
            await send(message)

        return hear

    async def _serve(self, scope: Message, receive: Receive, send: Send) -> None:
        with Handling(self._life.telemetry, _described(scope)) as handling:

            async def answer(message: Message) -> None:
                if message["type"] == "http.response.start":
                    handling.answered(message["status"])
                await send(message)

            await self._app(scope, receive, answer)


def _described(scope: Message) -> Request:
    http = HttpRequest(scope)
    return Request(
        path=http.url.path,
        method=http.method,
        url=str(http.url),
        ip=http.client.host if http.client is not None else None,
        request_id=http.headers.get(REQUEST_ID),
        idempotency_key=http.headers.get(IDEMPOTENCY_KEY),
    )
