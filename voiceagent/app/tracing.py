"""The traces of this node's calls: each call's journal is followed, its spans go to the collector."""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import voiceagent
from voiceagent.observe.call_trace import CallTrace
from voiceagent.observe.metrics import Metrics
from voiceagent.observe.trace_spans import sampled, trace_id_of
from voiceagent.records.journal import Journal
from voiceagent.settings import Settings

if TYPE_CHECKING:
    from voiceagent.observe.trace_export import SpanOutlet

_log = logging.getLogger("voiceagent.traces")


class Tracing:
    """Of no effect where the settings name no collector."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        outlet: Callable[[Settings, Metrics], SpanOutlet] | None = None,
    ) -> None:
        """``outlet`` makes the way out; default: to the settings' collector."""
        self._settings = settings
        self._metrics = metrics
        self._make = outlet or _to_collector
        self._outlet: SpanOutlet | None = None

    def open(self) -> None:
        """Begin to send."""
        if self._settings.traces.endpoint:
            self._outlet = outlet = self._make(self._settings, self._metrics)
            self._metrics.watch("trace_spans_waiting", lambda: outlet.waiting)

    def trace_id(self, call_id: str) -> str:
        """Return the id of a call's trace; empty where the call is not traced."""
        trace_id = trace_id_of(call_id)
        wanted = self._outlet is not None and sampled(trace_id, self._settings.traces.sample_ratio)
        return trace_id if wanted else ""

    def follow(self, call_id: str, journal: Journal) -> None:
        """Trace a call that begins, if it is to be traced."""
        outlet = self._outlet
        if outlet is None or not self.trace_id(call_id):
            return
        trace = CallTrace(
            call_id,
            outlet.put,
            provider=self._settings.provider,
            model=self._settings.realtime.model or "",
            text=self._settings.traces.text,
        )

        def take(entry: Mapping[str, Any]) -> None:
            try:
                trace.take(entry)
            except Exception:  # what is told of a call must not be able to end it
                _log.exception("the trace cannot take an entry of type %s", entry.get("type"))

        journal.tap(take)

    async def close(self) -> None:
        """Send what waits."""
        if self._outlet is not None:
            await self._outlet.close()


def _to_collector(settings: Settings, metrics: Metrics) -> SpanOutlet:
    from voiceagent.observe.trace_export import SpanOutlet, otlp_exporter

    traces = settings.traces
    headers = {name: secret.get_secret_value() for name, secret in traces.headers.items()}
    return SpanOutlet(
        otlp_exporter(traces.endpoint, headers),
        told=metrics.trace_spans,
        resource={
            "service.name": "voiceagent",
            "service.version": voiceagent.__version__,
            "service.instance.id": settings.cluster.name,
            "host.name": platform.node(),
        },
    )
