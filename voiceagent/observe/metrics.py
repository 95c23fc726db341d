"""What feeds the metrics. Their names are in :mod:`voiceagent.observe.metric_names`.

A label's value outside its set counts as ``other``, so nothing that a caller or a provider says can grow the
number of series.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import cast

from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics, generate_latest
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from voiceagent.media.figures import Histogram as Lateness
from voiceagent.observe.limits import LIMIT_OF
from voiceagent.observe.metric_names import SECONDS_LATE, WHEEL_LATENESS, Names
from voiceagent.realtime.requests import Origin, OutcomeKind

OTHER = "other"
ORIGINS = frozenset(origin.value for origin in Origin)
OUTCOMES = frozenset(kind.value for kind in OutcomeKind)
MAX_CODES = 64
"""Most values that one label without a fixed set takes; later ones count as ``other``."""

_is_code = re.compile(r"[A-Za-z0-9_.-]{1,64}").fullmatch


class _Codes:
    """Lets in the first ``MAX_CODES`` values of a label that look like codes."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def __call__(self, value: str) -> str:
        if value in self._known:
            return value
        fit = _is_code(value) is not None
        if not fit or len(self._known) >= MAX_CODES:
            return OTHER
        self._known.add(value)
        return value


class _Alone:
    """One collector, as a registry is asked."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def collect(self) -> Iterable[Metric]:
        return self._collector.collect()


class _Wheel(Collector):
    """Every tick of the wheel as a histogram; the wheel counts them itself, 500 a second."""

    def __init__(self) -> None:
        self.lateness: Callable[[], Lateness | None] = lambda: None

    def describe(self) -> Iterator[Metric]:
        yield HistogramMetricFamily(WHEEL_LATENESS, "")

    def collect(self) -> Iterator[Metric]:
        counted = self.lateness()
        if counted is None:
            counted = Lateness()
        buckets = [(str(edge), float(counted.below(edge * 1000))) for edge in SECONDS_LATE if edge <= 0.1]
        buckets.append(("+Inf", float(counted.count)))
        text = "How late each tick of the 20 ms wheel came: the pacing."
        yield HistogramMetricFamily(WHEEL_LATENESS, text, buckets, counted.sum_ms / 1000)


class Metrics(Names):
    """The figures of one node. Methods are cheap and never fail; times are seconds."""

    def __init__(
        self,
        *,
        version: str = "",
        registry: CollectorRegistry | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        disable_created_metrics()  # half as many series; when each began, nobody asks
        super().__init__(registry if registry is not None else CollectorRegistry())
        self._codes: dict[str, _Codes] = {}
        self._clock = clock
        self._drains_since: float | None = None
        self._wheel = _Wheel()
        self.registry.register(self._wheel)
        process = ProcessCollector(namespace="voiceagent", registry=self.registry)
        self.collectors += (self._wheel, process)
        self._build.labels(version or "unknown").set(1)
        self.watch("drain_seconds", self._drained_s)
        for origin in sorted(ORIGINS):
            self._to_speech.labels(origin)

    # ── calls ────────────────────────────────────────────────────────────────────────────────────
    def call_started(self, direction: str = "inbound") -> None:
        """A call was offered and taken in, or placed."""
        self._calls_active.inc()
        self._calls_offered.labels(_direction(direction)).inc()

    def call_answered(self, direction: str, seconds: float) -> None:
        """A call was answered so long after it began."""
        self._call_setup.labels(_direction(direction)).observe(seconds)

    def call_refused(self, code: str) -> None:
        """A call was not taken, or not placed; ``code`` says why. Where that is a limit, the limit counts."""
        self._calls_refused.labels(self._code("refused", code)).inc()
        limit = LIMIT_OF.get(code)
        if limit is not None:
            self.limit_reached(limit)

    def call_ended(self, outcome: str, duration_s: float | None = None) -> None:
        """A call that was started has ended."""
        self._calls_active.dec()
        self._calls.labels(self._code("outcome", outcome)).inc()
        if duration_s is not None:
            self._call_seconds.observe(duration_s)

    def queue_waiting(self, queue: str, count: int) -> None:
        """So many callers wait in a queue."""
        self._queue_waiting.labels(self._code("queue", queue)).set(count)

    def first_words(self, seconds: float) -> None:
        """The agent was heard for the first time, so long after the call's answer."""
        self._first_words.observe(seconds)

    def tool_ended(self, name: str, ok: bool, seconds: float) -> None:
        """A tool has returned, or failed."""
        outcome = "done" if ok else "failed"
        self._tools.labels(self._code("tool", name), outcome).inc()
        self._tool_seconds.labels(outcome).observe(max(0.0, seconds))

    def line_played(self, line: str) -> None:
        """The caller heard a recorded line instead of the agent."""
        self._lines.labels(self._code("line", line)).inc()

    def recording(self, what: str) -> None:
        """A recording was started, finished, or failed; or, after its call, encoded or stored."""
        self._recordings.labels(self._code("recording", what)).inc()

    def flow_failed(self, flow: str) -> None:
        """A flow raised."""
        self._flow_failed.labels(self._code("flow", flow)).inc()

    # ── responses ────────────────────────────────────────────────────────────────────────────────
    def response_queued(self) -> None:
        """A response request was accepted."""
        self._queue.inc()

    def response_left_queue(self) -> None:
        """A response request was started, or ended without."""
        self._queue.dec()

    def response_audible(self, origin: str, seconds: float) -> None:
        """A response is heard for the first time, ``seconds`` after it was asked for."""
        self._to_speech.labels(_of(ORIGINS, origin)).observe(seconds)

    def response_ended(self, origin: str, kind: str) -> None:
        """A response request has its outcome."""
        self._responses.labels(_of(ORIGINS, origin), _of(OUTCOMES, kind)).inc()

    def queue_full(self) -> None:
        """An operator's request found no place in its call's queue."""
        self._queue_full.inc()
        self.limit_reached("call.max_waiting")

    def turn_answered(self, seconds: float, parts: Mapping[str, float]) -> None:
        """The caller got an answer ``seconds`` after the end of speech; ``parts`` say where they went."""
        self._turn.observe(seconds)
        for part, took in parts.items():
            self._turn_parts.labels(self._code("part", part)).observe(max(0.0, took))

    def barged_in(self) -> None:
        """The caller cut the agent."""
        self._barge_ins.inc()

    def fell_silent(self, seconds: float) -> None:
        """The agent was heard for so long after the caller had been noticed."""
        self._barge_in_stop.observe(max(0.0, seconds))

    def dead_air(self, seconds: float) -> None:
        """A call has ended; ``seconds`` is its longest silence while it was our turn."""
        self._dead_air.observe(seconds)

    def notice(self, code: str) -> None:
        """The sequencer took a decision."""
        self._notices.labels(self._code("notice", code)).inc()

    def overlap_prevented(self) -> None:
        """A create waited because a response was alive."""
        self._overlaps.inc()

    # ── telephony ────────────────────────────────────────────────────────────────────────────────
    def sip_dropped(self, why: str, count: int = 1) -> None:
        """SIP messages were dropped."""
        self._sip_drops.labels(self._code("sip", why)).inc(count)

    def sip_retransmitted(self, kind: str, count: int = 1) -> None:
        """SIP messages went out again; ``kind`` is request or response."""
        self._sip_retransmissions.labels(kind if kind in ("request", "response") else OTHER).inc(count)

    def sip_connections(self, live: int) -> None:
        """So many stream connections stand."""
        self._sip_connections.set(live)

    def sip_connection_event(self, what: str, count: int = 1) -> None:
        """Connections were opened, accepted, refused or closed; ``what`` says which and why, as a code."""
        self._sip_connection_events.labels(self._code("sip_connection", what)).inc(count)

    def sip_socket_error(self, kind: str, count: int = 1) -> None:
        """A SIP socket failed to send or receive."""
        self._sip_socket_errors.labels(self._code("sip_socket", kind)).inc(count)

    def trunk(self, name: str, *, up: bool, calls: int) -> None:
        """How a trunk of the settings stands."""
        label = self._code("trunk", name)
        self._trunk_up.labels(label).set(1 if up else 0)
        self._trunk_calls.labels(label).set(calls)

    def trunk_state(self, name: str, part: str, state: str) -> None:
        """A trunk's registration or keep-alive changed."""
        label = self._code("trunk", name)
        self._trunk_states.labels(
            label, self._code("trunk_part", part), self._code("trunk_state", state)
        ).inc()

    def trunk_judged(self, name: str, what: str) -> None:
        """A request met the rules of a trunk; without a name none was proven."""
        label = self._code("trunk", name or "none")
        self._trunk_judged.labels(label, self._code("trunk_judged", what)).inc()
        limit = {"max_calls": "max_calls", "rate": "calls_per_second"}.get(what)
        if limit is not None:
            self.limit_reached(f"trunks.{name}.{limit}")

    def rtp(
        self, *, received: int = 0, sent: int = 0, lost: int = 0, late: int = 0, foreign: int = 0
    ) -> None:
        """Add a leg's media counters (as differences). Negative values count as nothing."""
        self._rtp_received.inc(max(0, received))
        self._rtp_sent.inc(max(0, sent))
        self._rtp_lost.inc(max(0, lost))
        self._rtp_late.inc(max(0, late))
        self._rtp_foreign.inc(max(0, foreign))

    def call_quality(self, details: Mapping[str, float]) -> None:
        """Take in a call's figures by their names in the record; names that are not there count nothing."""
        for name, metric in self._quality.items():
            value = details.get(name)
            if value is not None:
                scale = 0.001 if name.endswith("_ms") else 0.01 if name.endswith("_percent") else 1.0
                metric.observe(value * scale)
        self._srtp_refused.inc(max(0.0, details.get("srtp_refused", 0.0)))
        self._rtp_skipped.inc(max(0.0, details.get("skipped_frames", 0.0)))

    def watch_wheel(self, lateness: Callable[[], Lateness | None]) -> None:
        """Ask ``lateness`` for the wheel's own count (ms) at every scrape."""
        self._wheel.lateness = lateness

    # ── the node ─────────────────────────────────────────────────────────────────────────────────
    def webhook(self, outcome: str) -> None:
        """A webhook came; ``outcome`` is a code (taken, duplicate, stale, ignored, …)."""
        self._webhooks.labels(self._code("webhook", outcome)).inc()

    def webhook_accepted(self, seconds: float) -> None:
        """A call was accepted so long after its offer was verified."""
        self._accept.observe(max(0.0, seconds))

    def webhook_delivery(self, endpoint: str, result: str) -> None:
        """An attempt to deliver an outgoing webhook has ended."""
        self._deliveries.labels(self._code("endpoint", endpoint), self._code("delivery", result)).inc()

    def alerts(self, kind: str, count: int) -> None:
        """So many alerts of a kind last."""
        self._alerts.labels(self._code("alert", kind)).set(count)

    def webhook_backlog(self, count: int) -> None:
        """So many outgoing webhooks wait."""
        self._backlog.set(count)

    def cluster_stood(self, up: bool, nodes: int) -> None:
        """The fleet's registry answers, or does not; so many nodes live."""
        self._cluster_up.set(1 if up else 0)
        self._cluster_nodes.set(nodes)

    def cluster_commanded(self, op: str, result: str) -> None:
        """An order to the node that has a call was done, or not; ``result`` tells why."""
        self._cluster_commands.labels(self._code("cluster_op", op), self._code("cluster", result)).inc()

    def loop_lagged(self, seconds: float) -> None:
        """The event loop woke a sleeper ``seconds`` late."""
        self._loop_lag.observe(max(0.0, seconds))

    def loop_lag(self, seconds: float) -> None:
        """The worst of the last second."""
        self._lag.set(max(0.0, seconds))

    def overloaded(self, on: bool) -> None:
        """New calls are refused, or taken again."""
        self._overloaded.set(1 if on else 0)

    def provider_up(self, provider: str, up: bool) -> None:
        """The provider can, or cannot, be reached."""
        self._provider_up.labels(self._code("provider", provider)).set(1 if up else 0)

    def provider_failed(self, code: str | None) -> None:
        """The provider sent an error."""
        self._provider_errors.labels(self._code("provider_error", code or OTHER)).inc()

    def provider_connected(self, outcome: str, seconds: float) -> None:
        """An attempt to open a session was done, failed, or was late."""
        self._provider_connect.labels(self._code("connect", outcome)).observe(max(0.0, seconds))

    def provider_tokens(self, counts: Mapping[str, int]) -> None:
        """A response took so many tokens of each kind."""
        for kind, count in counts.items():
            self._provider_tokens.labels(self._code("tokens", kind)).inc(max(0, count))

    def provider_recovery(self, what: str) -> None:
        """A session that was lost within a call: started, restored, failed, handover."""
        self._recoveries.labels(self._code("recovery", what)).inc()

    def engine_step(self, step: str, seconds: float) -> None:
        """One step (listen, think, speak) of the embedded provider took ``seconds``."""
        self._engine_seconds.labels(self._code("engine", step)).observe(seconds)

    def draining(self, on: bool) -> None:
        """Whether new calls are turned away because the node is going."""
        self._draining.set(1 if on else 0)
        if not on:
            self._drains_since = None
        elif self._drains_since is None:
            self._drains_since = self._clock()

    def _drained_s(self) -> float:
        return 0.0 if self._drains_since is None else self._clock() - self._drains_since

    def flows_version(self, version: int) -> None:
        """Flows of this version are in force."""
        self._flows_version.set(version)

    def flows_reloaded(self, result: str, version: int) -> None:
        """The flows were read again: done, or refused; ``version`` is in force now."""
        self._flows_reloads.labels(result if result in ("done", "refused") else OTHER).inc()
        self._flows_version.set(version)

    def limit(self, name: str, value: float) -> None:
        """A configured limit."""
        label = self._code("limit", name)
        self._limit.labels(label).set(value)
        self._limit_reached.labels(label).inc(0)  # a first time would be no rise otherwise

    def limit_reached(self, name: str, times: int = 1) -> None:
        """A limit, named by its setting, turned something away or ended it."""
        self._limit_reached.labels(self._code("limit", name)).inc(max(0, times))

    def trace_spans(self, what: str, count: int) -> None:
        """So many spans were sent, failed to be, or were dropped. From any thread."""
        self._trace_spans.labels(what if what in ("sent", "failed", "dropped") else OTHER).inc(count)

    def journal_dropped(self, entries: int) -> None:
        """So many more journal entries were lost."""
        self._journal_dropped.inc(max(0, entries))

    def recording_dropped(self, seconds: float) -> None:
        """A recording lost so much of its audio."""
        self._recordings_dropped.inc(max(0.0, seconds))

    def database_failed(self, times: int) -> None:
        """The database could not do so many more pieces of work."""
        self._database_errors.inc(max(0, times))

    def archive_dropped(self, calls: int) -> None:
        """So many more ended calls found no place while the database was away."""
        self._archive_dropped.inc(max(0, calls))

    def render(self) -> str:
        """Return everything in Prometheus' text format."""
        return "".join(self.pieces())

    def pieces(self) -> Iterator[str]:
        """Yield the same in pieces of a millisecond or two, for whoever has frames to send between them."""
        for one in self.collectors:
            yield generate_latest(cast("CollectorRegistry", _Alone(one))).decode("utf-8")

    def _code(self, family: str, value: str) -> str:
        return self._codes.setdefault(family, _Codes())(value)


def _of(known: frozenset[str], value: str) -> str:
    return value if value in known else OTHER


def _direction(value: str) -> str:
    return value if value in ("inbound", "outbound") else OTHER
