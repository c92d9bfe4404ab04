"""Providers, exporters and the handler of the log: in processes of their own, for a global provider is set once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import dbos

PRELUDE = """
import json, logging, sys, threading
sys.path.insert(0, {home!r})
from http.server import BaseHTTPRequestHandler, HTTPServer

received = {{"traces": [], "logs": []}}

class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            import gzip
            body = gzip.decompress(body)
        received[self.path.strip("/")].append(body)
        self.send_response(200)
        self.end_headers()
    def log_message(self, *args):
        pass

server = HTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
here = f"http://127.0.0.1:{{server.server_port}}"

def spans():
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    for body in received["traces"]:
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            service = {{a.key: a.value.string_value for a in resource.resource.attributes}}["service.name"]
            for scope in resource.scope_spans:
                for span in scope.spans:
                    yield service, span

def logs():
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    for body in received["logs"]:
        request = ExportLogsServiceRequest.FromString(body)
        for resource in request.resource_logs:
            service = {{a.key: a.value.string_value for a in resource.resource.attributes}}["service.name"]
            for scope in resource.scope_logs:
                for record in scope.log_records:
                    yield service, scope.scope.name, record

def values(record):
    return {{a.key: getattr(a.value, a.value.WhichOneof("value")) for a in record.attributes}}

config = {{"name": "shop", "system_database_url": "sqlite:///{path}", "application_version": "v1"}}
from dbos import DBOS

@DBOS.workflow()
def work():
    DBOS.logger.warning("at work")
"""


def outcome_of(tmp_path: Path, code: str, **environment: str) -> tuple[Any, str]:
    """Run code after the prelude; return what it printed, as JSON, and what it logged."""
    home = str(Path(dbos.__file__).parent.parent)
    prelude = PRELUDE.format(home=home, path=tmp_path / "a.sqlite")
    done = subprocess.run(
        [sys.executable, "-c", prelude + code], capture_output=True, text=True, timeout=60, env=environment or None
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout or "null"), done.stderr


@pytest.mark.rules("OT-3", "OTEL-4", "OLOG-4", "OT-5")
def test_endpoints_make_providers_of_their_own(tmp_path):
    code = """
from opentelemetry import _logs, trace
DBOS(config={**config, "enable_otlp": True, "otlp_traces_endpoints": [here + "/traces"],
             "otlp_logs_endpoints": [here + "/logs"], "otlp_attributes": {"team": "blue"}})
DBOS.launch()
work()
DBOS.destroy()
(service, span), = spans()
record, = [r for s, name, r in logs() if r.body.string_value == "at work" and (s, name) == ("shop", "dbos")]
print(json.dumps({
    "service": service, "span": span.name, "workflow": values(span)["operationUUID"],
    "log": values(record), "same span": (record.span_id, record.trace_id) == (span.span_id, span.trace_id),
    "trace": span.trace_id.hex(), "severity": [record.severity_text, record.severity_number],
    "providers": [type(trace.get_tracer_provider()).__name__, type(_logs.get_logger_provider()).__name__]}))
"""
    found, _ = outcome_of(tmp_path, code)
    log = found.pop("log")
    assert found["same span"]
    assert (found["service"], found["span"], found["severity"]) == ("shop", "work", ["WARN", 13])
    assert found["providers"] == ["TracerProvider", "LoggerProvider"]
    assert log.pop("code.line.number")
    assert log.pop("code.file.path") == "<string>"
    assert log == {
        "applicationID": "",
        "applicationVersion": "v1",
        "executorID": "local",
        "team": "blue",
        "operationUUID": found["workflow"],
        "traceId": found["trace"],
        "code.function.name": "work",
    }


@pytest.mark.rules("OTEL-4", "OTEL-5", "OTEL-6", "OT-2", "OT-3", "OT-5", "OLOG-4")
def test_the_applications_own_providers_are_kept(tmp_path):
    code = """
from opentelemetry import _logs, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
own, own_logs = InMemorySpanExporter(), InMemoryLogRecordExporter()
provider = TracerProvider(resource=Resource.create({"service.name": "mine"}))
provider.add_span_processor(SimpleSpanProcessor(own))
trace.set_tracer_provider(provider)
log_provider = LoggerProvider()
log_provider.add_log_record_processor(SimpleLogRecordProcessor(own_logs))
_logs.set_logger_provider(log_provider)
found = []
for endpoints in ([], [here + "/traces", here + "/traces"], []):
    DBOS(config={**config, "enable_otlp": True, "otlp_traces_endpoints": endpoints})
    DBOS.launch()
    work()
    DBOS.destroy()
    found.append([len(own.get_finished_spans()), [service for service, span in spans()],
                  [r.log_record.body for r in own_logs.get_finished_logs()].count("at work")])
print(json.dumps([found, trace.get_tracer_provider() is provider, _logs.get_logger_provider() is log_provider]))
"""
    found, log = outcome_of(tmp_path, code)
    # No endpoints: the application's own exporter alone. Two: both besides. What a launch attached ends with it.
    assert found == [[[1, [], 1], [2, ["mine"] * 2, 2], [3, ["mine"] * 2, 3]], True, True]
    assert "skipping" not in log


@pytest.mark.rules("OTEL-5", "OT-4", "OTEL-3")
@pytest.mark.parametrize("endpoints", ["[]", "None", "'http://one'", "()"])
def test_nothing_to_export_to(tmp_path, endpoints):
    code = f"""
from opentelemetry import trace
DBOS(config={{**config, "enable_otlp": True, "otlp_traces_endpoints": {endpoints}, "otlp_logs_endpoints": {endpoints}}})
DBOS.launch()
work()
DBOS.destroy()
print(json.dumps(type(trace.get_tracer_provider()).__name__))
"""
    provider, log = outcome_of(tmp_path, code)
    assert provider == "ProxyTracerProvider"
    warnings = [line for line in log.splitlines() if "WARNING" in line and "skipping" in line]
    assert [line.partition(") ")[2] for line in warnings] == [
        "OTLP is enabled but tracer provider not set, skipping trace exporter setup.",
        "OTLP is enabled but logger provider not set, skipping log exporter setup.",
    ]


@pytest.mark.rules("OTEL-2", "OTEL-46", "OT-24")
def test_without_the_packages(tmp_path):
    code = """
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ImportError(name)
sys.meta_path.insert(0, Blocked())
from dbos import PropagateOtelContext
found = []
for attempt in (lambda: DBOS(config={**config, "enable_otlp": True}), lambda: PropagateOtelContext().__enter__()):
    try:
        attempt()
    except ImportError:
        found.append("ImportError")
DBOS(config=config)
DBOS.launch()
work()
DBOS.destroy()
print(json.dumps(found))
"""
    assert outcome_of(tmp_path, code)[0] == ["ImportError"] * 2


@pytest.mark.rules("OTEL-1", "PK-2", "OTEL-16")
def test_nothing_is_imported_while_tracing_is_off(tmp_path):
    code = """
from dbos import DBOSContextEnsure, SetWorkflowAttributes
DBOS(config={**config, "otlp_traces_endpoints": [here + "/traces"], "otlp_attributes": {"team": "blue"}})
DBOS.launch()
DBOS.register_queue("reports")
carrier = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
with SetWorkflowAttributes({"dbos.otelContext": carrier}):
    work()
    DBOS.enqueue_workflow("reports", work).get_result()
with DBOSContextEnsure():
    DBOS.set_authentication("alice", ["admin"])
    span = DBOS.span
DBOS.tracer
DBOS.destroy()
print(json.dumps([span, [name for name in sys.modules if name.startswith("opentelemetry")]]))
"""
    assert outcome_of(tmp_path, code)[0] == [None, []]


@pytest.mark.rules("OLOG-2", "OLOG-3", "LOG-3")
def test_what_records_carry_with_tracing_and_without(tmp_path):
    code = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
records = []
class Keep(logging.Handler):
    def emit(self, record):
        names = ["applicationID", "applicationVersion", "executorID", "team", "operationUUID", "traceId", "spanId"]
        if record.getMessage() == "at work":
            records.append({name: getattr(record, name, None) for name in names})
            span = trace.get_current_span().get_span_context()
            records[-1]["same trace"] = format(span.trace_id, "032x") == getattr(record, "traceId", None)
logging.getLogger("dbos").addHandler(Keep())
for enabled in (True, False):
    DBOS(config={**config, "enable_otlp": enabled, "otlp_attributes": {"team": "blue"}, "executor_id": "e1"})
    DBOS.launch()
    with trace.get_tracer("user").start_as_current_span("mine"):
        work()
    DBOS.destroy()
print(json.dumps(records))
"""
    (on, off), _ = outcome_of(tmp_path, code)
    assert on.pop("same trace") is True and len(on.pop("traceId")) == 32
    assert off.pop("same trace") is False and off.pop("traceId") is None
    for record in (on, off):
        assert record.pop("operationUUID")
        assert record == {
            "applicationID": "",
            "applicationVersion": "v1",
            "executorID": "e1",
            "team": "blue",
            "spanId": None,
        }


@pytest.mark.rules("OLOG-5", "LOG-4", "OLOG-6", "LIF-36")
def test_a_managed_platform_gets_the_logs_of_everybody_but_opentelemetry(tmp_path):
    code = """
def handlers():
    loggers = [logging.getLogger(name) for name in ("", "alone", "opentelemetry", "dbos", "chatty")]
    return [len(one.handlers + one.filters) for one in loggers]
for name in ("alone", "opentelemetry"):
    logging.getLogger(name).propagate = False
    logging.getLogger(name)
before = handlers()
counts = []
for _ in range(2):
    DBOS(config={**config, "otlp_logs_endpoints": [here + "/logs"]})
    DBOS.launch()
    counts.append(handlers())
    for name in ("chatty", "alone", "opentelemetry", "opentelemetry.exporter"):
        logging.getLogger(name).warning("from " + name)
    DBOS.destroy()
    after = handlers()
found = {}
for service, name, record in logs():
    text = record.body.string_value
    if text.startswith("from "):
        found.setdefault(text, []).append(values(record).get("executorID"))
print(json.dumps([before, counts, after, found]))
"""
    url = f"sqlite:///{tmp_path / 'cloud.sqlite'}"
    environment = {"DBOS__CLOUD": "true", "DBOS_SYSTEM_DATABASE_URL": url, "DBOS__VMID": "machine-1"}
    environment["DBOS_APP_NAME"] = "shop"
    (before, counts, after, found), _ = outcome_of(tmp_path, code, **environment)
    assert found == {"from chatty": ["machine-1"] * 2, "from alone": ["machine-1"] * 2}
    root, alone, otel, ours, chatty = before
    # A handler and a filter each; on our own a console besides.
    assert counts == [[root + 2, alone + 2, otel, ours + 3, chatty]] * 2
    assert after == [root, alone, otel, ours + 1, chatty]  # of ours the console stays


@pytest.mark.rules("OLOG-4", "OLOG-6")
def test_an_exception_is_exported_and_handlers_do_not_pile_up(tmp_path):
    code = """
@DBOS.workflow()
def failing():
    raise ValueError("no luck")
before = None
for _ in range(2):
    DBOS(config={**config, "enable_otlp": True, "otlp_logs_endpoints": [here + "/logs"], "otlp_log_level": "ERROR"})
    DBOS.launch()
    try:
        DBOS.start_workflow(failing).get_result()
    except ValueError:
        pass
    DBOS.logger.warning("too quiet")
    DBOS.destroy()
print(json.dumps([values(record) | {"body": record.body.string_value} for service, name, record in logs()]))
"""
    records, _ = outcome_of(tmp_path, code)
    assert len(records) == 2
    for record in records:
        assert record["body"].startswith("Exception encountered in workflow")
        assert (record["exception.type"], record["exception.message"]) == ("ValueError", "no luck")
        assert "in failing" in record["exception.stacktrace"]


@pytest.mark.rules("OTEL-4")
def test_a_provider_that_takes_no_exporters_is_kept(tmp_path):
    code = """
from opentelemetry import trace
class Own(trace.TracerProvider):
    def get_tracer(self, *args, **kwargs):
        return trace.NoOpTracer()
own = Own()
trace.set_tracer_provider(own)
DBOS(config={**config, "enable_otlp": True, "otlp_traces_endpoints": [here + "/traces"]})
DBOS.launch()
work()
DBOS.destroy()
print(json.dumps([trace.get_tracer_provider() is own, len(list(spans()))]))
"""
    found, log = outcome_of(tmp_path, code)
    assert found == [True, 0]
    assert "takes no exporters" in log
