"""One call for two sequencers: the same clock, caller, requests and scripted server, spoken to in frames.

What happens is drawn from the seed, whoever the client is: speech and requests by time, latency by time and
direction, the length of a response by what it answers, swallowed creates by their number. So two clients meet
the same traffic.
The server keeps the documented rules: one response at a time, others refused; an automatic reply after each
committed turn; an automatic cancel when the caller speaks. Time is virtual.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import selectors
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

LATENCY_S = (0.015, 0.090)
FIRST_AUDIO_S = (0.18, 0.45)
SPEECH_S = (0.8, 4.0)
AUTO_REPLY_S = (0.04, 0.25)
TOOL_S = (0.3, 1.5)
SWALLOWED = 0.002
TOOL_SHARE = 0.3
GENERATION_RATIO = 0.35
"""Generation runs faster than speech."""
DELTA_MS = 400
FRAME_S = 0.02
"""A playout that was stopped goes on with the next response one frame later."""
RUN_OFF_S = 90.0
"""Silent time after the last request, in which everything still waiting can happen."""
_BYTES_PER_MS = 8


class _JumpingSelector(selectors.SelectSelector):
    """Instead of sleeping, moves the loop's clock."""

    clock: JumpingLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("nothing can happen any more")
        if not ready and timeout is not None and timeout > 0:
            self.clock.now += timeout
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop whose timers take no wall time."""

    def __init__(self) -> None:
        self.now = 1000.0
        selector = _JumpingSelector()
        super().__init__(selector)
        selector.clock = self

    def time(self) -> float:
        return self.now


@dataclass(slots=True)
class Asked:
    """One explicit request and what became of it."""

    at: float
    silent: bool
    """The caller was not speaking when it was made."""
    undisturbed: bool
    """Nor was the answer to the caller's last turn still due or being generated."""
    free: bool
    """Nor was anything else being generated or heard."""
    heard_at: float | None = None
    signs: list[str] = field(default_factory=list[str])
    """What the client told about it by name: an outcome, an error, a cancelled response."""


@dataclass(slots=True)
class Truth:
    """What really happened in the calls of one client."""

    asked: list[Asked] = field(default_factory=list[Asked])
    tool_outputs: int = 0
    tool_outputs_unanswered: int = 0
    creates: int = 0
    collisions: int = 0
    """Creates of the client that met a running response and were refused."""
    overlaps: int = 0
    """Responses of the conversation that began while another one ran: the server allows none."""
    turns: int = 0
    turns_unanswered: int = 0
    """Turns of the caller whose automatic reply was refused: a response of the client's ran already."""
    swallowed: int = 0
    starts_over_speech: int = 0
    """Responses that the client had asked for which became audible while the caller spoke."""
    bad_frames: int = 0
    """Frames of ours that the client could not understand: the comparison would be unfair."""

    def add(self, other: Truth) -> None:
        """Take in another call."""
        self.asked += other.asked
        for name in (
            "tool_outputs",
            "tool_outputs_unanswered",
            "creates",
            "collisions",
            "overlaps",
            "turns",
            "turns_unanswered",
            "swallowed",
            "starts_over_speech",
            "bad_frames",
        ):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class _Response:
    rid: str
    item: str
    name: str | None
    metadata: dict[str, str] | None
    speech_s: float
    tool: bool
    wanted: bool
    alive: bool = True
    sent_ms: int = 0


class Pipe:
    """One direction of the wire: in order; latency changes every 50 ms, the same for every client."""

    def __init__(self, seed: str, deliver: Callable[[str], None]) -> None:
        self._seed = seed
        self._deliver = deliver
        self._loop = asyncio.get_running_loop()
        self._last = 0.0
        self._waiting: deque[str] = deque()

    def send(self, text: str) -> None:
        """Send a message; it arrives later."""
        now = self._loop.time()
        latency = random.Random(f"{self._seed}/{int(now * 20)}").uniform(*LATENCY_S)
        self._last = max(self._last + 1e-6, now + latency)
        self._waiting.append(text)
        self._loop.call_at(self._last, self._arrive)

    def _arrive(self) -> None:
        self._deliver(self._waiting.popleft())


class Ear:
    """Plays one response after the other, as a telephone does; tells what begins and ends."""

    def __init__(
        self, started: Callable[[str, str], None], ended: Callable[[str, str, int, bool], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._started = started
        self._ended = ended
        self._order: list[str] = []
        self._item: dict[str, str] = {}
        self._ms: dict[str, int] = {}
        self._complete: set[str] = set()
        self._gone: set[str] = set()
        self._since: float | None = None

    @property
    def idle(self) -> bool:
        """True when nothing is heard or waits to be."""
        return not self._order

    def audio(self, rid: str, item: str, ms: int) -> None:
        """Audio has arrived."""
        if rid in self._gone:
            return
        if rid not in self._ms:
            self._ms[rid] = 0
            self._item[rid] = item
            self._order.append(rid)
        self._ms[rid] += ms
        self._begin()
        self._arm()

    def complete(self, rid: str) -> None:
        """No more audio will come."""
        self._complete.add(rid)
        self._look()

    def stop(self, rid: str | None = None) -> None:
        """Fall silent: for one response, or altogether."""
        for name in [one for one in self._order if rid in (None, one)]:
            heard = 0
            if name == self._order[0] and self._since is not None:
                heard = min(self._ms[name], int((self._loop.time() - self._since) * 1000))
                self._since = None
            self._order.remove(name)
            self._gone.add(name)
            self._ended(name, self._item[name], heard, True)
        self._loop.call_later(FRAME_S, self._begin)

    def _begin(self) -> None:
        if self._order and self._since is None:
            self._since = self._loop.time()
            self._started(self._order[0], self._item[self._order[0]])
            self._arm()

    def _arm(self) -> None:
        if self._order and self._since is not None:
            self._loop.call_at(self._since + self._ms[self._order[0]] / 1000 + 1e-6, self._look)

    def _look(self) -> None:
        if not self._order or self._since is None:
            return
        rid = self._order[0]
        if rid in self._complete and self._loop.time() >= self._since + self._ms[rid] / 1000:
            self._order.pop(0)
            self._gone.add(rid)
            self._since = None
            self._ended(rid, self._item[rid], self._ms[rid], False)
            self._begin()


class Server:
    """The model's side of one call, and the truth about it."""

    def __init__(self, seed: str) -> None:
        self.truth = Truth()
        self.down: Pipe | None = None
        self.ear: Ear | None = None
        self.speaking = False
        self.wishes: dict[str, Asked] = {}
        self._seed = seed
        self._loop = asyncio.get_running_loop()
        self._active: _Response | None = None
        self._responses: dict[str, _Response] = {}
        self._events = 0
        self._auto_due = False
        self._unanswered: set[str] = set()
        self.session: dict[str, Any] = {
            "type": "realtime",
            "object": "realtime.session",
            "id": "sess_1",
            "model": "scripted",
            "output_modalities": ["audio"],
            "instructions": "",
            "audio": {
                "input": {
                    "format": {"type": "audio/pcmu"},
                    "turn_detection": {
                        "type": "server_vad",
                        "create_response": True,
                        "interrupt_response": True,
                    },
                },
                "output": {"format": {"type": "audio/pcmu"}, "voice": "alloy"},
            },
        }

    # ── wishes and truth ────────────────────────────────────────────────────────────────────────
    def wish(self, name: str) -> None:
        """Note that somebody asks for a response now."""
        silent = not self.speaking
        answering = self._auto_due or (self._active is not None and not self._active.wanted)
        idle = self._active is None and (self.ear is None or self.ear.idle)
        self.wishes[name] = Asked(
            self._loop.time(), silent, silent and not answering, silent and not answering and idle
        )

    def audible(self, rid: str) -> None:
        """The caller begins to hear a response."""
        response = self._responses[rid]
        if response.wanted and self.speaking:
            self.truth.starts_over_speech += 1
        asked = self.wishes.get(response.name or "")
        if asked is not None and asked.heard_at is None:
            asked.heard_at = self._loop.time()

    def close(self) -> Truth:
        """Return what happened."""
        self.truth.asked = list(self.wishes.values())
        self.truth.tool_outputs_unanswered = len(self._unanswered)
        return self.truth

    # ── wire ────────────────────────────────────────────────────────────────────────────────────
    def emit(self, kind: str, **fields: Any) -> None:
        """Send a server event."""
        self._events += 1
        if self.down is not None:
            self.down.send(json.dumps({"type": kind, "event_id": f"event_{self._events}", **fields}))

    def take(self, text: str) -> None:
        """Act on a client's frame."""
        event: dict[str, Any] = json.loads(text)
        match event["type"]:
            case "session.update":
                self.emit("session.updated", session=self.session)
            case "conversation.item.create":
                item = {"object": "realtime.item", "status": "completed", **event["item"]}
                item.setdefault("id", f"item_c{self._events}")
                if item["type"] == "function_call_output":
                    self.truth.tool_outputs += 1
                    self._unanswered.add(item["call_id"])
                self.emit("conversation.item.added", previous_item_id=None, item=item)
                self.emit("conversation.item.done", previous_item_id=None, item=item)
            case "conversation.item.truncate":
                fields = {name: event[name] for name in ("item_id", "content_index", "audio_end_ms")}
                self.emit("conversation.item.truncated", **fields)
            case "response.create":
                self._create(event)
            case "response.cancel":
                self._cancel(event)
            case _:
                return

    def _error(self, code: str, message: str, event_id: str | None) -> None:
        error = {"type": "invalid_request_error", "code": code, "message": message, "event_id": event_id}
        self.emit("error", error={**error, "param": None})

    def _refuse(self, running: _Response, event_id: str | None) -> None:
        message = f"Conversation already has an active response in progress: {running.rid}. Wait."
        self._error("conversation_already_has_active_response", message, event_id)

    def _create(self, event: dict[str, Any]) -> None:
        self.truth.creates += 1
        if random.Random(f"{self._seed}/create/{self.truth.creates}").random() < SWALLOWED:
            self.truth.swallowed += 1
        elif self._active is not None:
            self.truth.collisions += 1
            self._refuse(self._active, event.get("event_id"))
        else:
            asked: dict[str, Any] = event.get("response") or {}
            self._begin(asked.get("metadata"), wanted=True)

    def _cancel(self, event: dict[str, Any]) -> None:
        active = self._active
        if active is None or event.get("response_id") not in (None, active.rid):
            self._error("response_cancel_not_active", "no active response found", event.get("event_id"))
        else:
            self._finish(active, "cancelled", "client_cancelled")

    # ── responses ───────────────────────────────────────────────────────────────────────────────
    def _begin(self, metadata: dict[str, str] | None, *, wanted: bool, tool: bool = False) -> None:
        if self._active is not None:
            self.truth.overlaps += 1
        number = len(self._responses) + 1
        name = (metadata or {}).get("q")
        rng = random.Random(f"{self._seed}/response/{name or f'turn {self.truth.turns}/{wanted}'}")
        response = _Response(
            f"resp_{number}", f"item_{number}", name, metadata, rng.uniform(*SPEECH_S), tool, wanted
        )
        self._responses[response.rid] = response
        self._active = response
        self._unanswered.clear()
        self.emit("response.created", response=self._body(response, "in_progress", None))
        first = rng.uniform(*FIRST_AUDIO_S)
        if tool:
            self._loop.call_later(first, self._call_tool, response)
            self._loop.call_later(first + 0.3, self._finish, response, "completed", None)
        else:
            self._loop.call_later(first, self._speak, response)

    def _body(self, response: _Response, status: str, reason: str | None) -> dict[str, Any]:
        details = None if reason is None else {"type": status, "reason": reason}
        output: list[dict[str, Any]] = []
        return {
            "object": "realtime.response",
            "id": response.rid,
            "status": status,
            "status_details": details,
            "output": output,
            "conversation_id": "conv_1",
            "output_modalities": ["audio"],
            "metadata": response.metadata,
        }

    def _speak(self, response: _Response) -> None:
        """Send the next piece of audio, or the end."""
        if not response.alive:
            return
        ids = {"response_id": response.rid, "output_index": 0}
        part = {**ids, "item_id": response.item, "content_index": 0}
        if response.sent_ms == 0:
            item: dict[str, Any] = {
                "id": response.item,
                "object": "realtime.item",
                "type": "message",
                "role": "assistant",
                "status": "in_progress",
                "content": [],
            }
            self.emit("response.output_item.added", **ids, item=item)
            self.emit("response.content_part.added", **part, part={"type": "audio", "transcript": ""})
        ms = min(DELTA_MS, int(response.speech_s * 1000) - response.sent_ms)
        if ms > 0:
            audio = base64.b64encode(b"\x55" * (ms * _BYTES_PER_MS)).decode()
            self.emit("response.output_audio.delta", **part, delta=audio)
            response.sent_ms += ms
            self._loop.call_later(ms / 1000 * GENERATION_RATIO, self._speak, response)
            return
        self.emit("response.output_audio.done", **part)
        self._finish(response, "completed", None)

    def _call_tool(self, response: _Response) -> None:
        if not response.alive:
            return
        item = {
            "id": response.item,
            "object": "realtime.item",
            "type": "function_call",
            "status": "completed",
            "name": "lookup",
            "call_id": f"call_{response.rid}",
            "arguments": "{}",
        }
        ids = {"response_id": response.rid, "output_index": 0}
        self.emit(
            "response.function_call_arguments.done",
            **ids,
            item_id=response.item,
            call_id=item["call_id"],
            name="lookup",
            arguments="{}",
        )
        self.emit("response.output_item.done", **ids, item=item)

    def _finish(self, response: _Response, status: str, reason: str | None) -> None:
        if not response.alive:
            return
        response.alive = False
        if self._active is response:
            self._active = None
        self.emit("response.done", response=self._body(response, status, reason))

    # ── the caller ──────────────────────────────────────────────────────────────────────────────
    def speech(self, seconds: float, turn: int) -> None:
        """The caller speaks for a while."""
        self.speaking, self._auto_due = True, False
        self.truth.turns += 1
        item = f"item_u{turn}"
        self.emit("input_audio_buffer.speech_started", audio_start_ms=0, item_id=item)
        if self._active is not None:
            self._finish(self._active, "cancelled", "turn_detected")
        self._loop.call_later(seconds, self._hush, turn)

    def _hush(self, turn: int) -> None:
        self.speaking, self._auto_due = False, True
        item = f"item_u{turn}"
        self.emit("input_audio_buffer.speech_stopped", audio_end_ms=0, item_id=item)
        self.emit("input_audio_buffer.committed", previous_item_id=None, item_id=item)
        rng = random.Random(f"{self._seed}/turn/{turn}")
        tool = rng.random() < TOOL_SHARE
        self._loop.call_later(rng.uniform(*AUTO_REPLY_S), self._auto_reply, tool)

    def _auto_reply(self, tool: bool) -> None:
        if self.speaking or not self._auto_due:
            return
        self._auto_due = False
        if self._active is None:
            self._begin(None, wanted=False, tool=tool)
        else:
            self.truth.turns_unanswered += 1
            self._refuse(self._active, None)


@dataclass(frozen=True, slots=True)
class Script:
    """When the caller speaks and when somebody asks for a response; seconds from the call's start."""

    speech: tuple[tuple[float, float], ...]
    wishes: tuple[tuple[float, str], ...]
    """``prompt`` (the flow) or ``operator``."""

    @classmethod
    def draw(cls, seed: str, seconds: float) -> Script:
        """Draw the script of one call."""
        rng = random.Random(seed)
        speech: list[tuple[float, float]] = []
        at = rng.uniform(2.0, 6.0)
        while at < seconds:
            length = rng.uniform(0.7, 3.0)
            speech.append((at, length))
            at += length + rng.uniform(5.0, 12.0)
        wishes: list[tuple[float, str]] = []
        for kind, first, low, high in (("prompt", 0.5, 6.0, 14.0), ("operator", 5.0, 10.0, 30.0)):
            at = first
            while at < seconds:
                wishes.append((at, kind))
                at += rng.uniform(low, high)
        return cls(tuple(speech), tuple(sorted(wishes)))
