"""Metrics: every name in one place, in a registry of our own.

Labels are from small closed sets; a value outside its set counts as ``other``, so nothing that a caller or a
provider says can grow the number of series. No call id, number or text is ever a label.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from voiceagent.realtime.requests import Origin, OutcomeKind

OTHER = "other"
ORIGINS = frozenset(origin.value for origin in Origin)
OUTCOMES = frozenset(kind.value for kind in OutcomeKind)
MAX_CODES = 64
"""Most values that one label without a fixed set takes; later ones count as ``other``."""

SECONDS_TO_SPEECH = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
SECONDS_OF_DEAD_AIR = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0)
SECONDS_TO_SILENCE = (0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.2, 0.3, 0.5, 1.0)
SECONDS_LATE = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.1, 0.5)


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


class Metrics:
    """The figures of one node. Methods are cheap and never fail; times are seconds."""

    def __init__(self, *, version: str = "", registry: CollectorRegistry | None = None) -> None:
        self.registry = registry if registry is not None else CollectorRegistry()
        own = self.registry
        self._codes: dict[str, _Codes] = {}

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"voiceagent_{name}", text, labels, registry=own)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"voiceagent_{name}", text, labels, registry=own)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"voiceagent_{name}", text, labels, buckets=buckets, registry=own)

        # ── calls ────────────────────────────────────────────────────────────────────────────────
        self._calls_active = gauge("calls_active", "Calls that have not ended.")
        self._calls = counter("calls", "Calls that ended, by outcome.", "outcome")
        self._call_seconds = histogram(
            "call_duration_seconds", "From offer to end.", (1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600)
        )
        self._queue_waiting = gauge("queue_waiting", "Callers that wait in a queue for a person.", "queue")
        self._recordings = counter(
            "recordings", "Recordings of calls: started, finished, failed (the disk: look at it).", "what"
        )
        self._flow_failed = counter("flow_failed", "Flows that raised, by flow.", "flow")
        # ── responses ────────────────────────────────────────────────────────────────────────────
        self._responses = counter(
            "responses", "Response requests that ended, by origin and outcome.", "origin", "outcome"
        )
        self._queue_full = counter(
            "response_queue_full", "Operators' requests refused because call.max_waiting of them waited."
        )
        self._queue = gauge("response_queue_depth", "Response requests that wait, over all calls.")
        self._to_speech = histogram(
            "response_to_speech_seconds",
            "From a request's submission to its first audible sample.",
            SECONDS_TO_SPEECH,
            "origin",
        )
        self._turn = histogram(
            "turn_latency_seconds",
            "From the caller's last word to the agent's first sample.",
            SECONDS_TO_SPEECH,
        )
        self._barge_ins = counter("barge_in", "Times that a caller spoke over the agent and cut it.")
        self._barge_in_stop = histogram(
            "barge_in_stop_seconds", "From noticing the caller to the agent's silence.", SECONDS_TO_SILENCE
        )
        self._dead_air = histogram(
            "dead_air_seconds",
            "Longest silence of each call while it was our turn to speak.",
            SECONDS_OF_DEAD_AIR,
        )
        self._overlaps = counter("overlap_prevented", "Creates held back because a response was alive.")
        self._notices = counter("sequencer_notices", "Decisions of the sequencer, by code.", "code")
        # ── telephony ────────────────────────────────────────────────────────────────────────────
        self._sip_drops = counter("sip_dropped", "SIP messages dropped, by why.", "why")
        self._sip_retransmissions = counter("sip_retransmissions", "SIP messages sent again.", "kind")
        self._sip_connections = gauge("sip_connections", "SIP connections over TCP and TLS.")
        self._sip_connection_events = counter(
            "sip_connection_events", "SIP connections opened, accepted, refused and closed, by why.", "what"
        )
        self._sip_socket_errors = counter("sip_socket_errors", "Errors of SIP sockets, by kind.", "kind")
        self._trunk_up = gauge("trunk_up", "1 unless registration or keep-alive says otherwise.", "trunk")
        self._trunk_calls = gauge("trunk_calls", "Live calls, both ways.", "trunk")
        self._trunk_states = counter(
            "trunk_states", "Changes of registration and keep-alive.", "trunk", "part", "state"
        )
        self._trunk_judged = counter(
            "trunk_judged",
            "Requests out of dialogs, by what the trunk's rules made of them: passed, challenged, "
            "auth_failed, held, or the rule that refused (method, number, rate, max_calls).",
            "trunk",
            "what",
        )
        self._rtp_received = counter("rtp_packets_received", "RTP packets taken.")
        self._rtp_sent = counter("rtp_packets_sent", "RTP packets sent.")
        self._rtp_lost = counter("rtp_packets_lost", "RTP packets that never came.")
        self._rtp_late = counter("audio_late_frames", "Audio frames that came too late to be used.")
        self._rtp_foreign = counter(
            "rtp_packets_foreign", "RTP packets from a source that is not the call's."
        )
        self._quality = {
            "mos": histogram(
                "call_mos",
                "How good the caller's voice arrived, estimated by the E-model, of each call.",
                (1.5, 2.0, 2.5, 3.0, 3.3, 3.6, 3.8, 4.0, 4.1, 4.2, 4.3, 4.4),
            ),
            "jitter_ms": histogram(
                "call_jitter_seconds",
                "Jitter of the caller's RTP (RFC 3550) at the end of each call.",
                SECONDS_LATE,
            ),
            "loss_percent": histogram(
                "call_loss_ratio",
                "Share of each call's packets that the network lost, towards us.",
                (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2),
            ),
            "remote_loss_percent": histogram(
                "call_remote_loss_ratio",
                "Share of our packets that the other side says it lost, of each call.",
                (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2),
            ),
            "round_trip_ms": histogram(
                "call_round_trip_seconds",
                "Round trip by RTCP at the end of each call.",
                (0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0),
            ),
        }
        self._srtp_refused = counter(
            "srtp_packets_refused", "SRTP packets that were forged, replayed or broken."
        )
        self._wheel = histogram("wheel_lateness_seconds", "How late the 20 ms wheel turned.", SECONDS_LATE)
        # ── hosted calls ─────────────────────────────────────────────────────────────────────────
        self._webhooks = counter("webhooks", "Webhooks of the provider, by what became of them.", "outcome")
        self._accept = histogram(
            "webhook_accept_seconds", "From a verified call offer to its accept.", SECONDS_TO_SILENCE
        )
        # ── the node ─────────────────────────────────────────────────────────────────────────────
        self._loop_lag = histogram("event_loop_lag_seconds", "How late the event loop woke us.", SECONDS_LATE)
        self._lag = gauge("loop_lag_seconds", "Longest lateness of the event loop in the last second.")
        self._overloaded = gauge("overloaded", "1 while new calls are refused because the event loop lags.")
        self._provider_up = gauge("provider_up", "1 while the provider can be reached.", "provider")
        self._provider_errors = counter("provider_errors", "Errors the provider sent, by code.", "code")
        self._engine_busy = gauge("engine_busy_workers", "Workers of the embedded provider at work.")
        self._engine_seconds = histogram(
            "engine_step_seconds", "Time of one step of the embedded provider.", SECONDS_TO_SPEECH, "step"
        )
        self._flows_reloads = counter(
            "flows_reloads", "Reloads of the flows, by what became of them: done, refused.", "result"
        )
        self._flows_version = gauge("flows_version", "Version of the flows in force; rises with each reload.")
        self._deliveries = counter(
            "webhook_deliveries",
            "Attempts to deliver outgoing webhooks: delivered, failed, dead (the last one), gone (410), and "
            "dropped (events that found no place while the database was away).",
            "endpoint",
            "result",
        )
        self._alerts = gauge("alerts", "Alerts that last, by kind.", "kind")
        self._backlog = gauge("webhook_backlog", "Outgoing webhooks that wait.")
        self._draining = gauge("draining", "1 while no new calls are taken.")
        self._limit = gauge("limit", "Configured limits.", "name")
        self._limit_reached = counter("limit_reached", "Times that a limit turned something away.", "name")
        self._cluster_up = gauge(
            "cluster_up", "1 while the fleet's registry answers; always 1 without a fleet."
        )
        self._cluster_nodes = gauge("cluster_nodes", "Nodes of the fleet that live, as this one sees it.")
        self._cluster_commands = counter(
            "cluster_commands",
            "Orders of this node to the node that has a call: done, late, gone, down, lost (no answer).",
            "op",
            "result",
        )
        self._streams = gauge("console_streams", "Live streams of the console that are open.")
        gauge("build_info", "Always 1; the label tells the version.", "version").labels(
            version or "unknown"
        ).set(1)
        for origin in sorted(ORIGINS):
            self._to_speech.labels(origin)

    # ── calls ────────────────────────────────────────────────────────────────────────────────────
    def call_started(self) -> None:
        """A call was offered."""
        self._calls_active.inc()

    def call_ended(self, outcome: str, duration_s: float | None = None) -> None:
        """A call that was started has ended."""
        self._calls_active.dec()
        self._calls.labels(self._code("outcome", outcome)).inc()
        if duration_s is not None:
            self._call_seconds.observe(duration_s)

    def queue_waiting(self, queue: str, count: int) -> None:
        """So many callers wait in a queue."""
        self._queue_waiting.labels(self._code("queue", queue)).set(count)

    def recording(self, what: str) -> None:
        """A recording was started, finished, or failed."""
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

    def turn_answered(self, seconds: float) -> None:
        """The caller got an answer ``seconds`` after the end of speech."""
        self._turn.observe(seconds)

    def barged_in(self, stop_s: float | None = None) -> None:
        """The caller cut the agent; ``stop_s`` is how long the agent went on."""
        self._barge_ins.inc()
        if stop_s is not None:
            self._barge_in_stop.observe(stop_s)

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

    def wheel_turned(self, late_s: float) -> None:
        """The 20 ms wheel turned ``late_s`` after its time."""
        self._wheel.observe(max(0.0, late_s))

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

    def engine_busy(self, workers: int) -> None:
        """So many workers of the embedded provider are at work."""
        self._engine_busy.set(workers)

    def engine_step(self, step: str, seconds: float) -> None:
        """One step (listening, thinking, speaking …) of the embedded provider took ``seconds``."""
        self._engine_seconds.labels(self._code("engine", step)).observe(seconds)

    def draining(self, on: bool) -> None:
        """Whether new calls are turned away because the node is going."""
        self._draining.set(1 if on else 0)

    def flows_version(self, version: int) -> None:
        """Flows of this version are in force."""
        self._flows_version.set(version)

    def flows_reloaded(self, result: str, version: int) -> None:
        """The flows were read again: done, or refused; ``version`` is in force now."""
        self._flows_reloads.labels(result if result in ("done", "refused") else OTHER).inc()
        self._flows_version.set(version)

    def limit(self, name: str, value: float) -> None:
        """A configured limit."""
        self._limit.labels(self._code("limit", name)).set(value)

    def limit_reached(self, name: str) -> None:
        """A limit turned something away."""
        self._limit_reached.labels(self._code("limit", name)).inc()

    def watch_streams(self, count: Callable[[], int]) -> None:
        """Ask ``count`` for the console's open streams at every scrape."""
        self._streams.set_function(lambda: float(count()))

    def render(self) -> str:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry).decode("utf-8")

    def _code(self, family: str, value: str) -> str:
        return self._codes.setdefault(family, _Codes())(value)


def _of(known: frozenset[str], value: str) -> str:
    return value if value in known else OTHER
