"""Measure what spans cost: the processor time of a workflow in a burst of a thousand, without them and with.

    python benchmarks/tracing.py [URL OF THE SYSTEM DATABASE]

Each way takes a process of its own; what is sent goes to a receiver in another one, whose time does not count. The
figures are in docs/telemetry.md.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import statistics
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection

from dbos import DBOS, DBOSConfig

BURST = 1000
REPETITIONS = 9
WAYS = {"off": "without tracing", "tenth": "one trace in ten, sent", "made": "all made, none sent", "sent": "all sent"}


class Receiver(BaseHTTPRequestHandler):
    """Takes what an exporter sends, and forgets it."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer that all is well."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def receive(port: Connection) -> None:
    """Receive until ended."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    port.send(server.server_port)
    server.serve_forever()


def provide(way: str, port: int) -> None:
    """Set the tracer provider of one way."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(0.1 if way == "tenth" else 1.0)))
    if way != "made":
        exporter = OTLPSpanExporter(endpoint=f"http://127.0.0.1:{port}/v1/traces")
        provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=8 * BURST))
    trace.set_tracer_provider(provider)


def measure(way: str, port: int, url: str, result: Connection) -> None:
    """Send the processor time of a workflow, in microseconds, the median of some bursts."""
    if way != "off":
        provide(way, port)
    config: DBOSConfig = {"name": "tracing", "system_database_url": url, "log_level": "ERROR"}
    DBOS(config={**config, "application_version": "1", "enable_otlp": way != "off"})

    @DBOS.step()
    async def step(number: int) -> int:
        return number

    @DBOS.workflow()
    async def workflow(number: int) -> int:
        return await step(await step(number))

    async def burst() -> float:
        gc.collect()
        began = time.process_time()
        await asyncio.gather(*[workflow(number) for number in range(BURST)])
        return (time.process_time() - began) / BURST * 1e6

    async def bursts() -> list[float]:
        return [await burst() for _ in range(1 + REPETITIONS)][1:]

    DBOS.launch()
    result.send(statistics.median(asyncio.run(bursts())))
    DBOS.destroy()


def main() -> None:
    """Measure every way."""
    spawn = multiprocessing.get_context("spawn")
    mine, theirs = spawn.Pipe()
    receiver = spawn.Process(target=receive, args=(theirs,), daemon=True)
    receiver.start()
    port = mine.recv()
    for way, name in WAYS.items():
        with tempfile.TemporaryDirectory() as directory:
            url = sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{directory}/tracing.sqlite"
            process = spawn.Process(target=measure, args=(way, port, url, theirs))
            process.start()
            print(f"{name:24} {mine.recv():6.0f} µs of processor time for a workflow", flush=True)
            process.join()
    receiver.terminate()


if __name__ == "__main__":
    main()
