"""Where spans and log records are sent: exporters on the application's providers, and the handler of the `dbos` logger.

Keeps a provider that the application has set, and sets one only when there are endpoints and none is set (OT-3..5).
What is attached comes off again with `close`, so that launching again does not double it (OLOG-6). Knows nothing of
what spans say.
"""

from __future__ import annotations

import logging
import os
import traceback
import weakref
from typing import Any, cast

from opentelemetry import _logs, trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import get_current
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs import LogRecordProcessor as LogProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from .._model import logs
from .._model.config import Settings

logger = logging.getLogger("dbos")

LOG_EXPORT_TIMEOUT_SEC = 5.0
_OWN = frozenset({*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName"})
_SEVERITIES = {
    logging.DEBUG: SeverityNumber.DEBUG,
    logging.INFO: SeverityNumber.INFO,
    logging.WARNING: SeverityNumber.WARN,
    logging.ERROR: SeverityNumber.ERROR,
    logging.CRITICAL: SeverityNumber.FATAL,
}


class Relay:
    """Hands what a provider makes to the exporters of the current launch: providers cannot let a processor go."""

    def __init__(self) -> None:
        self.targets: list[Any] = []

    def shutdown(self) -> None:
        """Send what is left and stop."""
        targets, self.targets = self.targets, []
        for target in targets:
            target.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Send what is left."""
        return all([target.force_flush(timeout_millis) for target in self.targets])


class SpanRelay(Relay, SpanProcessor):
    """A relay of spans."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Tell them that a span begins."""
        for target in self.targets:
            target.on_start(span, parent_context)

    def on_end(self, span: Any) -> None:
        """Tell them that a span has ended."""
        for target in self.targets:
            target.on_end(span)


class LogRelay(Relay, LogProcessor):
    """A relay of log records."""

    def on_emit(self, log_record: Any) -> None:
        """Tell them of a record."""
        for target in self.targets:
            target.on_emit(log_record)


# One relay for spans and one for log records on each provider, for good.
_span_relays: weakref.WeakKeyDictionary[Any, SpanRelay] = weakref.WeakKeyDictionary()
_log_relays: weakref.WeakKeyDictionary[Any, LogRelay] = weakref.WeakKeyDictionary()


class LogHandler(logging.Handler):
    """Emits log records through the global logger provider, with the current span."""

    def emit(self, record: logging.LogRecord) -> None:
        """Emit one record; what OpenTelemetry itself logs is left out, or exporting would feed itself (OLOG-5)."""
        if record.name.partition(".")[0] == "opentelemetry":
            return
        try:
            _logs.get_logger(record.name).emit(_translated(record, self.format(record)))
        except Exception:
            self.handleError(record)


def _translated(record: logging.LogRecord, body: str) -> LogRecord:
    attributes: dict[str, Any] = {k: v for k, v in record.__dict__.items() if k not in _OWN and v is not None}
    attributes["code.file.path"] = record.pathname
    attributes["code.function.name"] = record.funcName
    attributes["code.line.number"] = record.lineno
    if record.exc_info and record.exc_info[0] is not None:
        kind, error, trail = record.exc_info
        attributes["exception.type"] = kind.__name__
        attributes["exception.message"] = str(error)
        attributes["exception.stacktrace"] = "".join(traceback.format_exception(kind, error, trail))
    level = max((level for level in _SEVERITIES if level <= record.levelno), default=logging.DEBUG)
    return LogRecord(
        timestamp=int(record.created * 1e9),
        observed_timestamp=int(record.created * 1e9),
        context=get_current(),
        severity_text="WARN" if record.levelno == logging.WARNING else record.levelname,
        severity_number=_SEVERITIES[level],
        body=body,
        attributes=attributes,
    )


class _Message(logging.Formatter):
    """The message alone: time, level, place and exception are exported as such."""

    def format(self, record: logging.LogRecord) -> str:
        return record.getMessage()


class Exporters:
    """What one application attached."""

    def __init__(self, settings: Settings) -> None:
        self._relays: list[Relay] = []
        self._handled: list[tuple[logging.Logger, logging.Handler]] = []
        self._named: list[tuple[logging.Logger, logging.Filter]] = []
        self._resource = {"service.name": settings.name}
        self._spans(settings)
        self._logs(settings)

    def _spans(self, settings: Settings) -> None:
        provider = trace.get_tracer_provider()
        is_unset = isinstance(provider, trace.ProxyTracerProvider)
        if not settings.otlp_traces_endpoints:
            if is_unset:
                logger.warning("OTLP is enabled but tracer provider not set, skipping trace exporter setup.")
            return
        if not is_unset and not hasattr(provider, "add_span_processor"):
            logger.warning("The tracer provider takes no exporters: otlp_traces_endpoints have no effect")
            return
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor

        targets: list[SpanProcessor] = [
            BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)) for endpoint in settings.otlp_traces_endpoints
        ]
        if is_unset:
            provider = TracerProvider(resource=Resource.create(self._resource))
            trace.set_tracer_provider(provider)
            if os.environ.get("DBOS__CONSOLE_TRACES"):
                targets.append(SimpleSpanProcessor(ConsoleSpanExporter()))
        relay = _span_relays.get(provider)
        if relay is None:
            relay = _span_relays[provider] = SpanRelay()
            cast(Any, provider).add_span_processor(relay)
        relay.targets.extend(targets)
        self._relays.append(relay)

    def _logs(self, settings: Settings) -> None:
        provider = _logs.get_logger_provider()
        is_unset = not hasattr(provider, "add_log_record_processor")
        if not settings.otlp_logs_endpoints:
            if is_unset:
                logger.warning("OTLP is enabled but logger provider not set, skipping log exporter setup.")
                return
        else:
            from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
            from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

            if is_unset:
                provider = LoggerProvider(resource=Resource.create(self._resource))
                _logs.set_logger_provider(provider)
            relay = _log_relays.get(provider)
            if relay is None:
                relay = _log_relays[provider] = LogRelay()
                cast(Any, provider).add_log_record_processor(relay)  # checked above
            relay.targets.extend(
                BatchLogRecordProcessor(
                    OTLPLogExporter(endpoint=endpoint), export_timeout_millis=LOG_EXPORT_TIMEOUT_SEC * 1000
                )
                for endpoint in settings.otlp_logs_endpoints
            )
            self._relays.append(relay)
        self._handle(settings)

    def _handle(self, settings: Settings) -> None:
        """Put one handler on the `dbos` logger; on a managed platform on every other root of logging, too (LOG-4)."""
        handler = LogHandler(settings.otlp_log_level)
        handler.setFormatter(_Message())
        self._attach(logger, handler)
        if not settings.cloud:
            return
        others = LogHandler(settings.otlp_log_level)
        others.setFormatter(_Message())
        for identity in logs.filters():
            others.addFilter(identity)
        for one in [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]:
            if isinstance(one, logging.Logger) and _is_foreign_root(one):
                self._attach(one, others)
                self._name(one)

    def _attach(self, to: logging.Logger, handler: logging.Handler) -> None:
        to.addHandler(handler)
        self._handled.append((to, handler))

    def _name(self, one: logging.Logger) -> None:
        """Let a logger's records say where they come from, as ours do."""
        for identity in logs.filters():
            one.addFilter(identity)
            self._named.append((one, identity))

    def close(self) -> None:
        """Take handlers and filters off, send what is left and stop sending."""
        for to, handler in self._handled:
            to.removeHandler(handler)
        for one, identity in self._named:
            one.removeFilter(identity)
        self._handled.clear()
        self._named.clear()
        for relay in self._relays:
            relay.shutdown()
        self._relays.clear()


def _is_foreign_root(one: logging.Logger) -> bool:
    """Tell whether records end here, and are neither ours nor OpenTelemetry's."""
    ends_here = one is logging.getLogger() or not one.propagate
    return ends_here and one is not logger and one.name.partition(".")[0] != "opentelemetry"
