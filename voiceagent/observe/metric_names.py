"""Every metric: its name, what it counts, its labels. What feeds them: :mod:`voiceagent.observe.metrics`.

Times are seconds, shares are 0 to 1. Labels are from small closed sets: no call id, number or text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.registry import Collector

PREFIX = "voiceagent_"
SECONDS_TO_SPEECH = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
SECONDS_TO_ANSWER = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0)
SECONDS_OF_DEAD_AIR = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0)
SECONDS_TO_SILENCE = (0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.2, 0.3, 0.5, 1.0)
SECONDS_LATE = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.1, 0.5)
SECONDS_OF_WORK = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)

Kind = Literal["counter", "gauge", "histogram"]
Family = TypeVar("Family", bound=Collector)
PROCESS: tuple[tuple[str, Kind, str], ...] = (
    ("cpu_seconds_total", "counter", "Processor time of the process, user and system."),
    ("resident_memory_bytes", "gauge", "Memory that the process has in RAM."),
    ("virtual_memory_bytes", "gauge", "Address space of the process."),
    ("open_fds", "gauge", "Open file descriptors."),
    ("max_fds", "gauge", "Most file descriptors that it may open."),
    ("start_time_seconds", "gauge", "When the process was started, Unix time."),
)
"""What the client library tells of the process, on Linux."""


class Name(NamedTuple):
    """One metric as it is told to people."""

    name: str
    """As a query names it: counters end in ``_total``; a histogram has ``_bucket``, ``_sum``, ``_count``."""
    kind: Kind
    labels: tuple[str, ...]
    text: str


class Names:
    """The families of one node, in its own registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.names: list[Name] = []
        """All of them, in the order of this file."""
        self.collectors: list[Collector] = []
        self._watched: dict[str, Gauge] = {}
        self._calls_names()
        self._responses_names()
        self._telephony_names()
        self._provider_names()
        self._node_names()

    def _calls_names(self) -> None:
        self._calls_active = self._gauge("calls_active", "Calls that have not ended.")
        self._calls_offered = self._counter(
            "calls_offered", "Calls that were taken in (inbound) or placed (outbound).", "direction"
        )
        self._calls = self._counter("calls", "Calls that ended, by outcome.", "outcome")
        self._calls_refused = self._counter(
            "calls_refused", "Calls that were not taken or not placed, by the code of the refusal.", "reason"
        )
        self._call_setup = self._histogram(
            "call_setup_seconds",
            "From the offer (or the placing) of a call to its answer, ringing included; its count is the "
            "calls that were answered.",
            SECONDS_TO_ANSWER,
            "direction",
        )
        self._call_seconds = self._histogram(
            "call_duration_seconds", "From offer to end.", (1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600)
        )
        self._first_words = self._histogram(
            "first_words_seconds",
            "From the answer of a call to the agent's first packet of voice.",
            SECONDS_TO_SPEECH,
        )
        self._queue_waiting = self._gauge(
            "queue_waiting", "Callers that wait in a queue for a person.", "queue"
        )
        self._recordings = self._counter(
            "recordings",
            "Recordings of calls: started, finished, failed (the disk: look at it); then encoded, stored.",
            "what",
        )
        self._flow_failed = self._counter("flow_failed", "Flows that raised, by flow.", "flow")
        self._tool_seconds = self._histogram(
            "tool_seconds", "How long tools ran, by whether they returned.", SECONDS_OF_WORK, "outcome"
        )
        self._tools = self._counter("tools", "Tools that ended, by name.", "tool", "outcome")
        self._lines = self._counter(
            "lines_played", "Recorded lines that callers heard instead of the agent, by line.", "line"
        )

    def _responses_names(self) -> None:
        self._responses = self._counter(
            "responses", "Response requests that ended, by origin and outcome.", "origin", "outcome"
        )
        self._queue_full = self._counter(
            "response_queue_full", "Operators' requests refused because call.max_waiting of them waited."
        )
        self._queue = self._gauge("response_queue_depth", "Response requests that wait, over all calls.")
        self._to_speech = self._histogram(
            "response_to_speech_seconds",
            "From a request's submission to its first audible sample.",
            SECONDS_TO_SPEECH,
            "origin",
        )
        self._turn = self._histogram(
            "turn_latency_seconds",
            "From the caller's last word to the agent's first sample.",
            SECONDS_TO_SPEECH,
        )
        self._turn_parts = self._histogram(
            "turn_part_seconds",
            "The parts of that wait: commit, transcript, flow, queue, model, playout.",
            SECONDS_TO_SPEECH,
            "part",
        )
        self._barge_ins = self._counter("barge_in", "Times that a caller spoke over the agent and cut it.")
        self._barge_in_stop = self._histogram(
            "barge_in_stop_seconds", "From noticing the caller to the agent's silence.", SECONDS_TO_SILENCE
        )
        self._dead_air = self._histogram(
            "dead_air_seconds",
            "Longest silence of each call while it was our turn to speak.",
            SECONDS_OF_DEAD_AIR,
        )
        self._overlaps = self._counter("overlap_prevented", "Creates held back because a response was alive.")
        self._notices = self._counter("sequencer_notices", "Decisions of the sequencer, by code.", "code")

    def _telephony_names(self) -> None:
        counter, histogram = self._counter, self._histogram
        self._sip_drops = counter("sip_dropped", "SIP messages dropped, by why.", "why")
        self._sip_retransmissions = counter("sip_retransmissions", "SIP messages sent again.", "kind")
        self._sip_connections = self._gauge("sip_connections", "SIP connections over TCP and TLS.")
        self._sip_connection_events = counter(
            "sip_connection_events", "SIP connections opened, accepted, refused and closed, by why.", "what"
        )
        self._sip_socket_errors = counter("sip_socket_errors", "Errors of SIP sockets, by kind.", "kind")
        self._trunk_up = self._gauge(
            "trunk_up", "1 unless registration or keep-alive says otherwise.", "trunk"
        )
        self._trunk_calls = self._gauge("trunk_calls", "Live calls, both ways.", "trunk")
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
        self._rtp_skipped = counter(
            "audio_skipped_frames", "Audio frames that we did not send because the 20 ms wheel was late."
        )
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
                SHARES,
            ),
            "remote_loss_percent": histogram(
                "call_remote_loss_ratio",
                "Share of our packets that the other side says it lost, of each call.",
                SHARES,
            ),
            "round_trip_ms": histogram(
                "call_round_trip_seconds",
                "Round trip by RTCP at the end of each call.",
                (0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0),
            ),
        }
        """By the names that a call's record has."""
        self._srtp_refused = counter(
            "srtp_packets_refused", "SRTP packets that were forged, replayed or broken."
        )
        self._watch("rtp_ports_in_use", "RTP ports that calls have now; their limit is media.ports.")
        self.names.append(
            Name(WHEEL_LATENESS, "histogram", (), "How late each tick of the 20 ms wheel came: the pacing.")
        )

    def _provider_names(self) -> None:
        self._webhooks = self._counter(
            "webhooks", "Webhooks of the provider, by what became of them.", "outcome"
        )
        self._accept = self._histogram(
            "webhook_accept_seconds", "From a verified call offer to its accept.", SECONDS_TO_SILENCE
        )
        self._provider_up = self._gauge("provider_up", "1 while the provider can be reached.", "provider")
        self._provider_errors = self._counter("provider_errors", "Errors the provider sent, by code.", "code")
        self._provider_connect = self._histogram(
            "provider_connect_seconds",
            "Time to open and set up a session: done, failed, or given up (late).",
            SECONDS_TO_SPEECH,
            "outcome",
        )
        self._provider_tokens = self._counter(
            "provider_tokens",
            "Tokens of responses as the provider counts them; cached ones are among the input.",
            "kind",
        )
        self._recoveries = self._counter(
            "provider_recoveries",
            "Sessions lost within calls: started (to look for another), restored, failed; and handover, to a "
            "new one before the old one came to its age.",
            "what",
        )
        self._watch("engine_steps_active", "Steps of the embedded provider under way.")
        self._engine_seconds = self._histogram(
            "engine_step_seconds",
            "Steps of the embedded provider: listen (a turn to text), think and speak (to the first piece).",
            SECONDS_TO_SPEECH,
            "step",
        )

    def _node_names(self) -> None:
        counter, gauge, watch = self._counter, self._gauge, self._watch
        self._loop_lag = self._histogram(
            "event_loop_lag_seconds", "How late the event loop woke us, twenty times a second.", SECONDS_LATE
        )
        self._lag = gauge("loop_lag_seconds", "Longest lateness of the event loop in the last second.")
        self._overloaded = gauge("overloaded", "1 while new calls are refused because the event loop lags.")
        self._draining = gauge("draining", "1 while no new calls are taken.")
        watch("drain_seconds", "How long the node has been draining; 0 while it is not.")
        self._limit = gauge("limit", "Configured limits, by setting.", "name")
        self._limit_reached = counter(
            "limit_reached", "Times that a limit turned something away or ended it, by setting.", "name"
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
        self._backlog = gauge("webhook_backlog", "Outgoing webhooks that wait.")
        self._alerts = gauge("alerts", "Alerts that last, by kind.", "kind")
        watch("journal_up", "1 unless the last attempt to write a journal failed.")
        watch("journal_queue", "Journal entries that wait for the disk.")
        self._journal_dropped = counter(
            "journal_dropped", "Journal entries that were lost: the disk failed or could not follow."
        )
        watch("recording_up", "1 unless the last attempt to write a recording failed.")
        watch("recording_queue", "Pieces of recordings that wait for the disk.")
        watch("recordings_waiting", "Finished recordings that wait to be encoded or stored.")
        self._recordings_dropped = counter(
            "recordings_dropped_seconds",
            "Seconds of audio that recordings lost because the disk could not follow.",
        )
        watch("database_up", "1 unless the last piece of work with the database failed.")
        self._database_errors = counter(
            "database_errors", "Pieces of work that the database could not do: away, locked or full."
        )
        watch("archive_waiting", "Ended calls and events that wait for the database.")
        self._archive_dropped = counter(
            "archive_dropped", "Ended calls that found no place there; their journals hold them."
        )
        watch("audit_waiting", "Lines of the audit log that wait for the database.")
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
        self._trace_spans = counter(
            "trace_spans",
            "Spans of traces: sent, failed (the collector is away), dropped (too many waited for it).",
            "what",
        )
        watch("trace_spans_waiting", "Spans that wait for the collector.")
        watch("console_streams", "Live streams of the console that are open.")
        watch("console_listeners", "Sockets on which calls are heard.")
        watch("console_connections", "HTTP connections of the console.")
        self.names += (Name(f"{PREFIX}process_{name}", kind, (), text) for name, kind, text in PROCESS)
        self._build = gauge("build_info", "Always 1; the label tells the version.", "version")

    # ── making them ─────────────────────────────────────────────────────────────────────────────
    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        self.names.append(Name(f"{PREFIX}{name}_total", "counter", labels, text))
        return self._kept(Counter(PREFIX + name, text, labels, registry=self.registry))

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        self.names.append(Name(PREFIX + name, "gauge", labels, text))
        return self._kept(Gauge(PREFIX + name, text, labels, registry=self.registry))

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        self.names.append(Name(PREFIX + name, "histogram", labels, text))
        return self._kept(Histogram(PREFIX + name, text, labels, buckets=buckets, registry=self.registry))

    def _kept(self, collector: Family) -> Family:
        self.collectors.append(collector)
        return collector

    def _watch(self, name: str, text: str) -> None:
        """A gauge whose value is asked for at every scrape; without anybody to ask it is 0."""
        self._watched[name] = self._gauge(name, text)

    def watch(self, name: str, value: Callable[[], float]) -> None:
        """Ask ``value`` for the gauge ``name`` at every scrape. KeyError for one that is not so fed."""
        self._watched[name].set_function(lambda: float(value()))


WHEEL_LATENESS = PREFIX + "wheel_lateness_seconds"
