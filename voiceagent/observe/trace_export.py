"""Finished spans on their way to a collector, by OpenTelemetry's SDK on a thread of its own.

Nothing here waits: what finds no place in the queue is counted and forgotten, and a collector that is away is
told of once. Needs the extra ``otel``; import this module only where traces are wanted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from voiceagent.observe.trace_endpoint import endpoint_url
from voiceagent.observe.trace_spans import Span

_log = logging.getLogger("voiceagent.traces")

WAITING_MOST = 2048
"""Spans that wait for the collector."""
BATCH = 256
BATCH_MS = 2000
TIMEOUT_S = 5.0
"""How long one batch may take, attempts after a failure included."""
CLOSE_S = 5.0
_KINDS = {"internal": SpanKind.INTERNAL, "server": SpanKind.SERVER, "client": SpanKind.CLIENT}

Told = Callable[[str, int], None]
"""Called with what became of spans (sent, failed, dropped) and of how many; from any thread."""


class SpanOutlet:
    """Sends spans until :meth:`close`."""

    def __init__(
        self,
        exporter: SpanExporter,
        *,
        told: Told = lambda what, count: None,
        resource: Mapping[str, str] | None = None,
        batch_ms: float = BATCH_MS,
        waiting_most: int = WAITING_MOST,
    ) -> None:
        """``resource`` says who sends: ``service.name`` and the like."""
        self._told = told
        self._most = waiting_most
        self._put = 0
        self._counted = _Counted(exporter, told)
        self._resource = Resource(dict(resource or {}))
        version = (resource or {}).get("service.version", "")
        self._scope = InstrumentationScope("voiceagent", version)
        # Ours is the bound that counts. Theirs is never reached: it would write a line for every span.
        self._processor = BatchSpanProcessor(
            self._counted, 2 * waiting_most, batch_ms, min(BATCH, waiting_most), TIMEOUT_S * 1000
        )

    @property
    def waiting(self) -> int:
        """Spans that are not sent yet."""
        return self._put - self._counted.taken

    def put(self, span: Span) -> None:
        """Send a span some time. Does not wait."""
        if self.waiting >= self._most:
            self._told("dropped", 1)
            return
        self._put += 1
        self._processor.on_end(self._readable(span))

    async def close(self, limit_s: float = CLOSE_S) -> None:
        """Send what waits, within reason."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def shut() -> None:
            self._processor.shutdown()
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(done.set)

        # A daemon: a collector that does not answer must not keep the process.
        threading.Thread(target=shut, name="traces-close", daemon=True).start()
        try:
            async with asyncio.timeout(limit_s):
                await done.wait()
        except TimeoutError:
            _log.warning("%d spans were not sent: the collector does not answer", self.waiting)

    def _readable(self, span: Span) -> ReadableSpan:
        trace_id = int(span.trace_id, 16)

        def context(span_id: str) -> SpanContext:
            return SpanContext(
                trace_id, int(span_id, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED)
            )

        return ReadableSpan(
            span.name,
            context(span.span_id),
            parent=context(span.parent_id) if span.parent_id else None,
            resource=self._resource,
            attributes=dict(span.attributes),
            events=[Event(one.name, dict(one.attributes), _ns(one.at)) for one in span.events],
            kind=_KINDS[span.kind],
            status=Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.UNSET),
            start_time=_ns(span.since),
            end_time=_ns(span.until),
            instrumentation_scope=self._scope,
        )


class _Counted(SpanExporter):
    """Counts what another exporter does, and tells of trouble once, until it is over."""

    def __init__(self, inner: SpanExporter, told: Told) -> None:
        self._inner = inner
        self._told = told
        self._troubled = False
        self.taken = 0
        """Spans that have left the queue; only the exporting thread writes it."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._inner.export(spans)
        except Exception:
            _log.exception("the exporter of traces failed")
            result = SpanExportResult.FAILURE
        self.taken += len(spans)
        well = result is SpanExportResult.SUCCESS
        self._told("sent" if well else "failed", len(spans))
        if well == self._troubled:
            self._troubled = not well
            tell = _log.info if well else _log.warning
            tell("traces: the collector %s", "takes spans again" if well else "cannot be reached")
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


def otlp_exporter(endpoint: str, headers: Mapping[str, str]) -> SpanExporter:
    """Return the exporter to a collector that takes OTLP by HTTP; without a path, the usual one is taken."""
    # Its own lines, one for every attempt, would say what ours say once.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    return OTLPSpanExporter(endpoint_url(endpoint), headers=dict(headers), timeout=TIMEOUT_S)


def _ns(at: float) -> int:
    return round(at * 1e9)
