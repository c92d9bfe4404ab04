"""`DBOS(flask=app)`: each request has a DBOS context. Launching and destroying are the application's own (WFI-13).

What a request gets is `requests`'. Imported only when an app is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from flask import Flask
from werkzeug.wrappers import Request as HttpRequest

from .requests import IDEMPOTENCY_KEY, REQUEST_ID, Handling, Request

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


def attach(app: Flask, telemetry: Callable[[], Any]) -> None:
    """Put middleware around an app."""
    cast(Any, app).wsgi_app = _around(app.wsgi_app, telemetry)  # a method, replaced as Flask's documentation says


def _around(app: Wsgi, telemetry: Callable[[], Any]) -> Wsgi:
    def serve(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with Handling(telemetry, _described(environ)):
            return app(environ, start_response)

    return serve


def _described(environ: dict[str, Any]) -> Request:
    http = HttpRequest(environ)
    return Request(
        path=http.path,
        method=http.method,
        url=http.url,
        ip=http.remote_addr,
        request_id=http.headers.get(REQUEST_ID),
        idempotency_key=http.headers.get(IDEMPOTENCY_KEY),
    )
