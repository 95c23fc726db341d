"""A directory of calls in memory: keeps every promise of ``console.ports.Directory``, driven by the test.

It stands in for a node's; :func:`seen_by_the_console` is what the console gets of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from voiceagent.app.fleet import FleetDirectory
from voiceagent.console.ports import (
    Act,
    CallView,
    DialWish,
    FlowsRefused,
    LiveEvent,
    ResponseView,
    TranscriptLine,
    Trigger,
)
from voiceagent.console.views import call_data, line_data, response_data
from voiceagent.errors import CallEnded, RequestRefused

KEPT = 1000


class FakeListener:
    """One who listens; a test says what there is to hear with ``put``, and when it is over with ``end``."""

    def __init__(self, directory: FakeDirectory, call_id: str, listener_id: str, name: str) -> None:
        self.id = listener_id
        self.name = name
        self.call_id = call_id
        self.dropped = 0
        self.ended = ""
        self.over = asyncio.Event()
        self.voiced: list[bytes] = []
        self.spoken = asyncio.Event()
        """Set with the first of ``voiced``."""
        self._directory = directory
        self._items: asyncio.Queue[bytes | Mapping[str, Any] | None] = asyncio.Queue()

    async def next(self) -> bytes | Mapping[str, Any] | None:
        return None if self.ended else await self._items.get()

    def put(self, item: bytes | Mapping[str, Any]) -> None:
        self._items.put_nowait(item)

    def end(self, reason: str) -> None:
        self.ended = self.ended or reason
        self.over.set()
        self._items.put_nowait(None)

    def voice(self, frame: bytes) -> None:
        self.voiced.append(frame)
        self.spoken.set()

    def leave(self) -> None:
        if not self.ended:
            self.end("left")
            self._directory.show_listeners(self.call_id)


class FakeDirectory:
    """Calls, responses and events that a test moves along by hand."""

    def __init__(self) -> None:
        self.timelines: dict[str, dict[str, Any]] = {}
        self._calls: dict[str, CallView] = {}
        self._keys: dict[tuple[str, str], str] = {}
        self._log: list[LiveEvent] = []
        self._readers: set[asyncio.Queue[LiveEvent | None]] = set()
        self._last_id = 0
        self.listeners: list[Callable[[LiveEvent], None]] = []
        self.spoken: list[tuple[str, Trigger, str]] = []
        self.hung_up: list[tuple[str, str]] = []
        self.is_ready = True
        self.parts: dict[str, Any] = {"sip": "listening"}
        self.most_waiting = 10_000
        self.refuse: RequestRefused | None = None
        self.dialled: list[tuple[DialWish, str]] = []
        self._dial_keys: dict[str, str] = {}
        self.acts: list[tuple[str, Act, str]] = []
        self._act_keys: set[tuple[str, str, str]] = set()
        self.listened: list[FakeListener] = []
        self.flow_set: dict[str, Any] = a_flow_set()
        self.refuse_flows: FlowsRefused | None = None
        self.alert_views: list[dict[str, Any]] = []
        self.trunk_views: list[dict[str, Any]] = [a_trunk()]

    # ── the port ─────────────────────────────────────────────────────────────────────────────────
    def calls(self) -> Sequence[CallView]:
        views = list(self._calls.values())
        return [v for v in views if v.state != "ended"] + [v for v in views if v.state == "ended"]

    def has(self, call_id: str) -> bool:
        return call_id in self._calls

    def call(self, call_id: str) -> CallView:
        return self._calls[call_id]

    async def timeline(self, call_id: str) -> Mapping[str, Any]:
        return self.timelines[call_id]

    def trigger(
        self, call_id: str, trigger: Trigger, *, idempotency_key: str | None, operator: str
    ) -> ResponseView:
        call = self._calls[call_id]
        if idempotency_key is not None and (call_id, idempotency_key) in self._keys:
            return self.response(call_id, self._keys[call_id, idempotency_key])
        if call.state == "ended":
            raise CallEnded(outcome=str((call.outcome or {}).get("kind", "unknown")))
        if self.refuse is not None:
            raise self.refuse
        waiting = sum(one.state == "queued" and one.origin == "operator" for one in call.responses)
        if waiting >= self.most_waiting and not trigger.note_only:
            raise RequestRefused("call", f"{waiting} requests wait already", code="queue_full")
        self.spoken.append((call_id, trigger, operator))
        view = ResponseView(
            id=f"req{len(self.spoken)}",
            call_id=call_id,
            origin="operator",
            instructions=trigger.instructions,
            metadata=dict(trigger.metadata),
            state="queued",
            reason="caller_speaking",
            submitted_at=12.0,
        )
        if idempotency_key is not None:
            self._keys[call_id, idempotency_key] = view.id
        if trigger.note_only:
            ending = {"kind": "completed", "heard_ms": 0, "heard_text": "", "reason": "noted"}
            view = replace(view, state="noted", reason="noted", outcome=ending)
            self.say(call_id, TranscriptLine(12.0, "note", trigger.instructions or "", item_id=view.id))
        self.put_response(view)
        return view

    def dial(self, wish: DialWish, *, idempotency_key: str | None, operator: str) -> CallView:
        if idempotency_key in self._dial_keys:
            return self._calls[self._dial_keys[idempotency_key]]
        if self.refuse is not None:
            raise self.refuse
        self.dialled.append((wish, operator))
        call_id = f"out{len(self.dialled)}"
        view = CallView(
            id=call_id,
            caller=wish.from_user,
            called=wish.to,
            kind="direct",
            direction="outbound",
            flow=wish.flow,
            step="",
            state="dialling",
            started_at=1.0,
            duration_s=0.0,
            floor="nobody",
            last_words="",
        )
        self._calls[call_id] = view
        if idempotency_key is not None:
            self._dial_keys[idempotency_key] = call_id
        return view

    def dialled_for(self, key: str) -> CallView | None:
        known = self._dial_keys.get(key)
        return None if known is None else self._calls[known]

    def response(self, call_id: str, response_id: str) -> ResponseView:
        for view in self._calls[call_id].responses:
            if view.id == response_id:
                return view
        raise KeyError(response_id)

    def withdraw(self, call_id: str, response_id: str, *, operator: str) -> ResponseView:
        view = self.response(call_id, response_id)
        if view.outcome is not None:
            return view
        if self._calls[call_id].state == "ended":
            raise CallEnded(outcome="caller_hung_up")
        return self.settle(call_id, response_id, "withdrawn", reason=f"withdrawn by {operator}")

    async def hang_up(self, call_id: str, *, operator: str) -> CallView:
        if self._calls[call_id].state == "ended":
            raise CallEnded(outcome=str((self._calls[call_id].outcome or {}).get("kind")))
        self.hung_up.append((call_id, operator))
        return self.end_call(call_id, "we_hung_up")

    async def act(self, call_id: str, act: Act, *, idempotency_key: str | None, operator: str) -> CallView:
        call = self._calls[call_id]
        if (call_id, act.what, idempotency_key) in self._act_keys:
            return call
        if call.state == "ended":
            raise CallEnded(outcome=str((call.outcome or {}).get("kind")))
        if self.refuse is not None:
            raise self.refuse
        self.acts.append((call_id, act, operator))
        if idempotency_key is not None:
            self._act_keys.add((call_id, act.what, idempotency_key))
        if act.what == "transfer":
            begun = {"target": act.target, "attended": act.attended, "state": "trying"}
            return self.change(call_id, transfer={**begun, "status": None, "reason": ""})
        if act.what in ("take_over", "hand_back"):
            return self.change(call_id, taken_over_by=operator if act.what == "take_over" else "")
        if act.what == "note":
            self.say(call_id, TranscriptLine(12.0, "note", act.text, item_id=f"note{len(self.acts)}"))
            return self._calls[call_id]
        if act.what.endswith("_recording"):
            if not call.recording["state"]:
                raise RequestRefused("call", "is not being recorded", code="not_recording")
            state = "paused" if act.what == "pause_recording" else "running"
            return self.change(call_id, recording={**call.recording, "state": state})
        if act.what in ("hold", "resume"):
            held = act.what == "hold"
            return self.change(call_id, held_by=["us"] if held else [], floor="held" if held else "nobody")
        return call

    def tagged(self, call_id: str, tags: Sequence[str], *, operator: str) -> None:
        if call_id in self._calls:
            self.change(call_id, tags=tuple(tags))

    def listen(self, call_id: str, *, operator: str) -> FakeListener:
        call = self._calls[call_id]
        if call.state == "ended":
            raise CallEnded(outcome=str((call.outcome or {}).get("kind")))
        if self.refuse is not None:
            raise self.refuse
        listener = FakeListener(self, call_id, f"{len(self.listened) + 1}", operator)
        self.listened.append(listener)
        self.show_listeners(call_id)
        return listener

    def show_listeners(self, call_id: str) -> None:
        here = [one for one in self.listened if one.call_id == call_id and not one.ended]
        self.change(call_id, listeners=[{"name": one.name, "since": 5.0} for one in here])

    def events(self, *, after: int | None = None) -> AsyncIterator[LiveEvent]:
        queue: asyncio.Queue[LiveEvent | None] = asyncio.Queue()
        if after is not None:
            for event in self._log:
                if event.id > after:
                    queue.put_nowait(event)
        self._readers.add(queue)
        return self._read(queue)

    async def _read(self, queue: asyncio.Queue[LiveEvent | None]) -> AsyncIterator[LiveEvent]:
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            self._readers.discard(queue)

    def flows(self) -> Mapping[str, Any]:
        return self.flow_set

    async def reload_flows(self, *, operator: str) -> Mapping[str, Any]:
        if self.refuse_flows is not None:
            raise self.refuse_flows
        self.flow_set = {**self.flow_set, "version": self.flow_set["version"] + 1, "loaded_by": operator}
        return self.flow_set

    def alerts(self) -> Sequence[Mapping[str, Any]]:
        return self.alert_views

    def trunks(self) -> Sequence[Mapping[str, Any]]:
        return self.trunk_views

    def ready(self) -> tuple[bool, Mapping[str, Any]]:
        return self.is_ready, {**self.parts, "draining": not self.is_ready}

    # ── what the test does ───────────────────────────────────────────────────────────────────────
    @property
    def readers(self) -> int:
        return len(self._readers)

    def put_call(self, view: CallView, kind: str = "call.started") -> CallView:
        self._calls[view.id] = view
        self.emit(kind, view.id, call_data(view))
        return view

    def change(self, call_id: str, **fields: Any) -> CallView:
        return self.put_call(replace(self._calls[call_id], **fields), "call.changed")

    def end_call(self, call_id: str, kind: str) -> CallView:
        view = replace(self._calls[call_id], state="ended", floor="nobody", outcome={"kind": kind})
        return self.put_call(view, "call.ended")

    def say(self, call_id: str, line: TranscriptLine) -> None:
        call = self._calls[call_id]
        rest = [old for old in call.transcript if not (line.item_id and old.item_id == line.item_id)]
        self._calls[call_id] = replace(call, transcript=(*rest, line), last_words=line.text)
        self.emit("transcript.line", call_id, line_data(line))

    def put_response(self, view: ResponseView) -> ResponseView:
        call = self._calls[view.call_id]
        if any(old.id == view.id for old in call.responses):
            responses = tuple(view if old.id == view.id else old for old in call.responses)
        else:
            responses = (*call.responses, view)
        self._calls[view.call_id] = replace(call, responses=responses)
        self.emit("response.state", view.call_id, response_data(view))
        return view

    def progress(self, call_id: str, response_id: str, state: str, reason: str = "") -> ResponseView:
        return self.put_response(replace(self.response(call_id, response_id), state=state, reason=reason))

    def settle(self, call_id: str, response_id: str, kind: str, **outcome: Any) -> ResponseView:
        view = self.response(call_id, response_id)
        ending = {"kind": kind, "heard_ms": 0, "heard_text": "", "reason": "", **outcome}
        return self.put_response(replace(view, state=kind, reason=ending["reason"], outcome=ending))

    def alert(self, kind: str, **facts: Any) -> dict[str, Any]:
        """Raise an alert, or clear it: with its ``id`` and ``cleared_at``."""
        values: dict[str, Any] = {
            "id": f"alert_{len(self.alert_views) + 1}",
            "kind": kind,
            "since": 1_800_000_000.0,
            "call_id": "",
            "text": f"Something is wrong: {kind}.",
            "cleared_at": None,
        }
        alert = values | facts
        self.alert_views = [alert, *(one for one in self.alert_views if one["id"] != alert["id"])]
        what = "alert.raised" if alert["cleared_at"] is None else "alert.cleared"
        self.emit(what, alert["call_id"], alert)
        return alert

    def emit(self, kind: str, call_id: str, data: Mapping[str, Any]) -> None:
        self._last_id += 1
        event = LiveEvent(self._last_id, kind, call_id, data)
        self._log = [*self._log, event][-KEPT:]
        for queue in self._readers:
            queue.put_nowait(event)
        for listener in self.listeners:
            listener(event)

    def finish(self) -> None:
        for queue in self._readers:
            queue.put_nowait(None)


def seen_by_the_console(directory: FakeDirectory) -> FleetDirectory:
    """Return ``directory`` as the console asks it."""
    return FleetDirectory(cast("Any", directory))


def a_flow_set() -> dict[str, Any]:
    """Return the flows in force."""
    return {
        "version": 1,
        "loaded_at": 1_800_000_000.0,
        "loaded_by": "start",
        "flows": [{"name": "desk", "numbers": ["100"], "source": "flows/desk.py"}],
        "routes": [{"place": 1, "flow": "desk", "when": {"number": ["2*"]}}],
        "default_flow": "desk",
        "needs_restart": [],
        "refused": None,
    }


def a_trunk(name: str = "carrier", **facts: Any) -> dict[str, Any]:
    """Return how a trunk stands; this one's password is refused."""
    values: dict[str, Any] = {
        "name": name,
        "up": False,
        "registration": "refused",
        "keepalive": "off",
        "detail": "403 Forbidden",
        "calls": 2,
        "max_calls": 0,
        "servers": [{"address": "192.0.2.1:5060/udp", "state": "unknown"}],
    }
    return {**values, **facts}


def a_call(call_id: str = "c1", **fields: Any) -> CallView:
    """Return a live call with ordinary values."""
    values: dict[str, Any] = {
        "id": call_id,
        "caller": "+447700900123",
        "called": "+442079460018",
        "kind": "direct",
        "flow": "front-desk",
        "step": "greeting",
        "state": "talking",
        "started_at": 1_700_000_000.0,
        "duration_s": 12.5,
        "floor": "agent",
        "last_words": "Good morning",
        "provider": "embedded",
        "abilities": ("hold", "transfer", "consult", "send_digits"),
    }
    return CallView(**{**values, **fields})
