"""PURE. The time line of a call, made from the entries of its journal: live by a tap, or later from the file.

Two lanes: when the caller spoke, and what the agent made against what of it was heard. On them marks, and how
long the caller waited in each turn. Times are seconds since the call began.

A stretch of the caller's begins and ends when the provider says so: about its ``prefix_padding_ms`` and
``silence_duration_ms`` late. What the agent generated is laid where it was, or would have been, heard: from
its first sample on the line (from its arrival, while nothing of it was played), as long as its sound. Where
the provider plays the sound itself, nobody counts it, and of a cut reply only the heard part is known.

Every entry costs O(1), and the memory of a call is bounded: on very long calls the oldest detail is coarser
(:mod:`voiceagent.replay.spans`), the oldest marks and turns are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, ClassVar

from voiceagent.replay.marks import Marks
from voiceagent.replay.spans import Span, Spans
from voiceagent.replay.steps import field_of, number, text_of
from voiceagent.replay.turns import Turn, Turns

TURNS_KEPT = 500
_EVER_S = 1e12
"""No call lasts so long: what is beyond it, or no number, was read from a broken file."""
REQUESTS_OPEN = 256
REPLIES_OPEN = 64
"""Requests and replies that may be under way at a time; older ones are let go."""


@dataclass(slots=True)
class _Reply:
    """A response under way: the two stretches that it leaves."""

    generated: Span
    heard: Span | None = None
    audio_s: float | None = None
    heard_s: float = 0.0
    done: bool = False
    """The model has come to its end."""
    quiet: bool = False
    """Playback is over."""

    def settle(self) -> None:
        """Say how far the generated stretch goes, as far as that is known."""
        made, heard = self.generated, self.heard
        made.open = not self.done or (heard is not None and heard.open)
        if heard is not None:
            made.since = heard.since
        if heard is not None and not heard.open:
            unheard = max((self.audio_s or 0.0) - self.heard_s, 0.0) if heard.cut else 0.0
            made.until = heard.until + unheard
            made.open = False
        elif self.audio_s is not None:
            made.until = made.since + self.audio_s


@dataclass(slots=True)
class _Request:
    """When somebody asked for speech, and when that went to the model."""

    asked: float
    created: float | None = None
    response: str = ""
    audible: bool = False


class Timeline:
    """The time line of one call. Feed it every entry, in order."""

    __slots__ = (
        "_caller",
        "_ended",
        "_generated",
        "_heard",
        "_last",
        "_marks",
        "_operator",
        "_replies",
        "_requests",
        "_speech",
        "_taken",
        "_turns",
        "answered",
    )

    def __init__(self) -> None:
        self._caller = Spans()
        self._generated = Spans()
        self._heard = Spans()
        self._marks = Marks()
        self._turns = Turns(keep=TURNS_KEPT)
        self._operator = Spans()
        self._speech: Span | None = None
        self._taken: Span | None = None
        self._replies: dict[str, _Reply] = {}
        self._requests: dict[str, _Request] = {}
        self._last = 0.0
        self._ended = False
        self.answered: Callable[[Turn], None] = lambda turn: None
        """Called when a turn is answered: how long the caller waited, and where the time went."""

    def take(self, entry: Mapping[str, Any]) -> None:
        """Take one entry. Live ones hold the steps of the sequencer as they are, read ones as objects."""
        kind = entry.get("type")
        t: object = entry.get("t")
        if type(t) is not float or not -_EVER_S < t < _EVER_S:
            t = number(t, self._last)
        self._last = t
        if kind == "sequencer":
            event = entry.get("event")
            step = self.STEPS.get(event) if type(event) is str else None
            if step is not None:
                step(self, entry.get("body"), t)
            return
        match kind:
            case "caller.speech_started":
                self._quiet_caller(t)
                self._speech = self._caller.begin(t)
                self._turns.begun()
            case "caller.speech_stopped":
                self._quiet_caller(t)
                self._turns.stopped(t)
            case "caller.said":
                self._turns.said(t)
            case "call.held" | "caller.held" | "queue.entered":
                self._turns.begun()
                self._marks.take(kind, entry, t)
            case "operator.take_over":
                self._hand_back(t)
                self._taken = self._operator.begin(t)
                self._marks.take(kind, entry, t)
            case "operator.hand_back":
                self._hand_back(t)
                self._marks.take(kind, entry, t)
            case "call.ended":
                self._end(t)
                self._marks.take(kind, entry, t)
            case str():
                self._marks.take(kind, entry, t)
            case _:
                return

    def plain(self, now: float | None = None) -> dict[str, Any]:
        """Return the time line as JSON values. ``now``: seconds since the call began, while it is live."""
        at = self._last if now is None or self._ended else max(now, self._last)
        waits = sorted(turn.latency_s for turn in self._turns.ended)
        return {
            "duration_s": round(at, 3),
            "live": not self._ended,
            "caller": [[round(one.since, 3), round(one.end(at), 3)] for one in self._caller],
            "operator": [[round(one.since, 3), round(one.end(at), 3)] for one in self._operator],
            "generated": [_stretch(one, at) for one in self._generated],
            "heard": [{**_stretch(one, at), "cut": one.cut} for one in self._heard],
            "marks": self._marks.plain(),
            "turns": [
                {
                    "at": round(turn.stopped, 3),
                    "response_id": turn.request,
                    "latency_ms": _ms(turn.latency_s),
                    "parts": {name: _ms(value) for name, value in turn.parts.items()},
                }
                for turn in self._turns.ended
            ],
            "latency": {
                "p50_ms": _ms(median(waits)) if waits else None,
                "p95_ms": _ms(waits[math.ceil(len(waits) * 0.95) - 1]) if waits else None,
            },
        }

    def _quiet_caller(self, t: float) -> None:
        if self._speech is not None:
            self._speech.until, self._speech.open = t, False
            self._speech = None

    def _hand_back(self, t: float) -> None:
        if self._taken is not None:
            self._taken.until, self._taken.open = t, False
            self._taken = None

    def _end(self, t: float) -> None:
        self._quiet_caller(t)
        self._hand_back(t)
        for reply in self._replies.values():
            self._let_go(reply, t)
        self._replies.clear()
        self._requests.clear()
        self._ended = True

    # ── requests: how long a turn waits ─────────────────────────────────────────────────────────
    def _submitted(self, body: object, t: float) -> None:
        name = text_of(field_of(body, "request"), "id")
        if name not in self._requests:
            self._requests[name] = _Request(t)
            if len(self._requests) > REQUESTS_OPEN:
                del self._requests[next(iter(self._requests))]

    def _created(self, body: object, t: float) -> None:
        request = self._requests.get(text_of(field_of(body, "request"), "id"))
        if request is not None:
            request.created = t

    def _progressed(self, body: object, t: float) -> None:
        request = self._requests.get(text_of(body, "request_id"))
        if request is None:
            return
        request.response = text_of(body, "response_id") or request.response
        if field_of(body, "progress") == "audible" and not request.audible:
            request.audible = True
            created = request.asked if request.created is None else request.created
            turn = self._turns.reply(t, request.response, request.asked, created)
            if turn is not None:
                self.answered(turn)

    def _settled(self, body: object, t: float) -> None:
        self._requests.pop(text_of(body, "request_id"), None)

    def _committed(self, body: object, t: float) -> None:
        self._turns.committed(t)

    # ── replies: what was made, what was heard ──────────────────────────────────────────────────
    def _output(self, body: object, t: float) -> None:
        if field_of(body, "audible") is not False:
            self._turns.sound(t)
            self._reply(text_of(body, "response_id"), t)

    def _reply(self, response: str, t: float) -> _Reply:
        reply = self._replies.get(response)
        if reply is None:
            reply = self._replies[response] = _Reply(self._generated.begin(t, response))
            if len(self._replies) > REPLIES_OPEN:
                self._let_go(self._replies.pop(next(iter(self._replies))), t)
        return reply

    def _done(self, body: object, t: float) -> None:
        response = text_of(body, "response_id")
        reply = self._replies.get(response)
        if reply is None:
            return
        audio_ms = field_of(body, "audio_ms")
        reply.audio_s = None if audio_ms is None else number(audio_ms) / 1000
        reply.done = True
        if reply.heard is None:
            reply.generated.until = t
        reply.settle()
        if reply.quiet:
            del self._replies[response]

    def _playing(self, body: object, t: float) -> None:
        response = text_of(body, "response_id")
        reply = self._reply(response, t)
        if reply.heard is None:
            reply.heard = self._heard.begin(t, response)
        reply.settle()

    def _played(self, body: object, t: float) -> None:
        response = text_of(body, "response_id")
        reply = self._replies.get(response)
        if reply is None or reply.quiet:
            return
        reply.quiet = True
        if reply.heard is not None:
            reply.heard.until, reply.heard.open = t, False
            reply.heard.cut = bool(field_of(body, "cut"))
            reply.heard_s = number(field_of(body, "heard_ms")) / 1000
        reply.settle()
        if reply.done:
            del self._replies[response]

    @staticmethod
    def _let_go(reply: _Reply, t: float) -> None:
        """Nothing more will be known of it."""
        if reply.heard is not None and reply.heard.open:
            reply.heard.until, reply.heard.open = t, False
        made = reply.generated
        if made.open:
            made.until, made.open = max(made.until, t if not reply.done else made.until), False

    def _notice(self, body: object, t: float) -> None:
        if field_of(body, "code") == "barge_in":
            self._marks.add(t, "barge_in", "the caller speaks over the agent")

    STEPS: ClassVar[Mapping[str, Callable[[Any, object, float], None]]] = {
        "Submitted": _submitted,
        "SendCreate": _created,
        "Progressed": _progressed,
        "Settled": _settled,
        "InputCommitted": _committed,
        "OutputStarted": _output,
        "ResponseDone": _done,
        "PlaybackStarted": _playing,
        "PlaybackEnded": _played,
        "Notice": _notice,
    }
    """What is done with the steps of the sequencer that matter here, by name."""


def timeline_of(entries: Iterable[Mapping[str, Any]]) -> Timeline:
    """Return the time line that these entries make."""
    timeline = Timeline()
    for entry in entries:
        timeline.take(entry)
    return timeline


def _stretch(span: Span, now: float) -> dict[str, Any]:
    return {"from": round(span.since, 3), "to": round(span.end(now), 3), "response_id": span.name}


def _ms(value: float) -> float:
    return round(value * 1000, 1)
