"""Spans on their way out: as the SDK sees them, bounded, and told of when the collector is away."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip("opentelemetry.sdk", reason="the extra otel is not installed")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.kit.virtual_loop import virtual
from tests.stories.test_traces import Traced
from voiceagent.observe.call_trace import CallTrace
from voiceagent.observe.metrics import Metrics
from voiceagent.observe.trace_export import SpanOutlet, otlp_exporter
from voiceagent.observe.trace_spans import Span, span_id_of, trace_id_of


def span(number: int = 1) -> Span:
    trace_id = trace_id_of("call_1")
    return Span("turn", trace_id, span_id_of(trace_id, number), "", 1000.5, 1002.0, error="broken")


@virtual
async def test_a_story_arrives_in_the_sdk_as_one_trace() -> None:
    memory = InMemorySpanExporter()
    outlet = SpanOutlet(memory, resource={"service.name": "voiceagent", "service.version": "1"})
    traced = Traced()
    traced.story.call.journal.tap(CallTrace("call_1", outlet.put).take)
    await traced.live()
    outlet._processor.shutdown()  # pyright: ignore[reportPrivateUsage]
    got = memory.get_finished_spans()
    by_id = {format(one.context.span_id, "016x"): one for one in got if one.context}
    assert len(got) == len(traced.spans) == len(by_id)
    for ours in traced.spans:
        theirs = by_id[ours.span_id]
        assert theirs.context is not None
        assert format(theirs.context.trace_id, "032x") == ours.trace_id
        assert (format(theirs.parent.span_id, "016x") if theirs.parent else "") == ours.parent_id
        assert theirs.end_time is not None
        assert theirs.start_time is not None
        length = (theirs.end_time - theirs.start_time) / 1e9
        assert length == pytest.approx(ours.until - ours.since, abs=1e-5)
        assert len(theirs.events) == len(ours.events)
        assert theirs.resource.attributes["service.name"] == "voiceagent"
    assert [one.name for one in got if one.parent is None] == ["call"]


class Stuck(SpanExporter):
    """A collector that does not answer until it is let go."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.go = threading.Event()
        self.got = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.asked.set()
        self.go.wait(20)
        self.got += len(spans)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self.go.set()


async def test_what_finds_no_place_is_dropped_and_counted() -> None:
    stuck, told = Stuck(), Counter[str]()

    def count(what: str, number: int) -> None:
        told[what] += number

    outlet = SpanOutlet(stuck, told=count, batch_ms=1, waiting_most=4)
    outlet.put(span(0))
    assert stuck.asked.wait(20)
    for number in range(1, 10):
        outlet.put(span(number))
    assert outlet.waiting == 4
    assert told["dropped"] == 6
    stuck.go.set()
    await outlet.close()
    assert (told["sent"], stuck.got, outlet.waiting) == (4, 4, 0)


async def test_closing_does_not_wait_for_a_collector_that_does_not_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stuck = Stuck()
    outlet = SpanOutlet(stuck, batch_ms=1)
    outlet.put(span())
    assert stuck.asked.wait(20)
    await outlet.close(limit_s=0)
    assert "1 spans were not sent" in caplog.text
    stuck.go.set()


class Collector(ThreadingHTTPServer):
    """Takes OTLP by HTTP on loopback."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.spans: list[tuple[str, bytes, bytes]] = []
        """Name, trace and parent of each."""
        self.headers: list[str | None] = []
        self.paths: list[str] = []
        self.status = 200


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.paths.append(self.path)
        self.server.headers.append(self.headers.get("Authorization"))
        if self.server.status == 200:
            asked = ExportTraceServiceRequest.FromString(body)
            self.server.spans += [
                (one.name, one.trace_id, one.parent_span_id)
                for resource in asked.resource_spans
                for scope in resource.scope_spans
                for one in scope.spans
            ]
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002


@asynccontextmanager
async def collector() -> AsyncIterator[Collector]:
    """A collector, and the thread that serves it."""
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_a_collector_gets_them_by_http_with_the_headers_that_it_wants() -> None:
    metrics = Metrics()
    async with collector() as server:
        url = f"http://127.0.0.1:{server.server_port}"
        outlet = SpanOutlet(otlp_exporter(url, {"Authorization": "Bearer x"}), told=metrics.trace_spans)
        outlet.put(span(1))
        outlet.put(span(2))
        await outlet.close()
        assert [name for name, _, _ in server.spans] == ["turn", "turn"]
        assert {trace.hex() for _, trace, _ in server.spans} == {trace_id_of("call_1")}
        assert set(server.paths) == {"/v1/traces"}
        assert set(server.headers) == {"Bearer x"}
    assert metrics.registry.get_sample_value("voiceagent_trace_spans_total", {"what": "sent"}) == 2


async def test_a_collector_that_refuses_is_told_of_once_and_again_when_it_is_well(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "voiceagent.traces")
    told = Counter[str]()
    done = threading.Semaphore(0)

    def count(what: str, number: int) -> None:
        told[what] += number
        done.release()

    async with collector() as server:
        server.status = 400
        outlet = SpanOutlet(
            otlp_exporter(f"http://127.0.0.1:{server.server_port}/v1/traces", {}), told=count, batch_ms=1
        )
        for number in range(3):
            outlet.put(span(number))
            assert done.acquire(timeout=20)
        server.status = 200
        outlet.put(span(9))
        assert done.acquire(timeout=20)
        await outlet.close()
    assert told == {"failed": 3, "sent": 1}
    assert [record.getMessage() for record in caplog.records if record.name == "voiceagent.traces"] == [
        "traces: the collector cannot be reached",
        "traces: the collector takes spans again",
    ]
