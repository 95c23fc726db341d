"""The calls of this node as the console sees them; and the observer that every call reports to."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from voiceagent.app.alarms import Alarms
from voiceagent.app.events import EventHub
from voiceagent.app.growing_lines import GrowingLines
from voiceagent.app.journal_figures import JournalFigures
from voiceagent.app.late_tags import LateTags
from voiceagent.app.reload import FlowDesk
from voiceagent.app.timelines import Timelines
from voiceagent.call.call import Call, CallState
from voiceagent.call.ledger import NOTED, LedgerEntry
from voiceagent.call.letting_go import let_go
from voiceagent.call.listening import Listener
from voiceagent.call.notes import take_note
from voiceagent.call.outcome import CallOutcome, OutcomeClass
from voiceagent.call.transcript import Utterance
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
from voiceagent.ids import Tokens
from voiceagent.observe.logs import hide_secrets
from voiceagent.observe.metrics import Metrics
from voiceagent.realtime.model_events import RealtimeModelNoticeEvent
from voiceagent.realtime.requests import InterruptedBy, Origin, Outcome, Progress, When
from voiceagent.replay.turns import Turn

LINE = "transcript.line"
ENDED_KEPT = 200
IDEMPOTENCY_KEPT = 10_000
Key = TypeVar("Key")
Value = TypeVar("Value")
_ALIVE = frozenset({"response_active", "create_in_flight"})
"""Reasons of a request that waits because another response is alive."""


class NodeDirectory:
    """All live calls and the newest ended ones. Fulfils ``CallObserver``; the console asks through
    :class:`~voiceagent.app.fleet.FleetDirectory`, whose promises these are.
    """

    def __init__(
        self,
        hub: EventHub,
        metrics: Metrics,
        tokens: Tokens,
        *,
        provider: str,
        readiness: Callable[[], tuple[bool, Mapping[str, Any]]],
        trunks: Callable[[], Sequence[Mapping[str, Any]]] = lambda: (),
        flows: FlowDesk | None = None,
        journal_dir: Path | None = None,
        alarms: Alarms | None = None,
        node: str = "local",
    ) -> None:
        self._hub = hub
        self._metrics = metrics
        self._tokens = tokens
        self._provider = provider
        self._node = node
        self._readiness = readiness
        self._trunks = trunks
        self._flows = flows
        self._alarms = alarms
        self._timelines = Timelines(journal_dir)
        self._late_tags = LateTags(journal_dir)
        self._timelines.answered = self._turn_answered
        self._growing = GrowingLines(self._tell_line)
        self._queued: set[tuple[str, str]] = set()
        """(call, request) of every request that waits."""
        self._live: dict[str, Call] = {}
        self._ended: OrderedDict[str, Call] = OrderedDict()
        self._keys: OrderedDict[tuple[str, str], tuple[str, bytes]] = OrderedDict()
        """What an idempotency key led to, and :func:`printed` of what it came with."""
        self._ended_waiters: dict[str, list[asyncio.Future[None]]] = {}
        self._dialled: OrderedDict[str, str] = OrderedDict()
        self._tags: dict[str, Sequence[str]] = {}
        self.place: Callable[[DialWish], Call] | None = None
        """Places a call; None until calls can be placed."""
        self.ended: Callable[[Call], None] = lambda call: None
        """Takes every call that has ended."""
        self.recorded: Callable[[Call, str, Mapping[str, Any]], None] = lambda call, kind, facts: None
        """Takes what happens to recordings: the kind and its facts."""
        hide_secrets(self.without_secrets)

    # ── the console asks ────────────────────────────────────────────────────────────────────────
    def calls(self) -> Sequence[CallView]:
        everyone = [*self._live.values(), *reversed(self._ended.values())]
        return [self._view(call, brief=True) for call in everyone]

    def has(self, call_id: str) -> bool:
        """Whether :meth:`call` knows it."""
        return call_id in self._live or call_id in self._ended

    def call(self, call_id: str) -> CallView:
        return self._view(self.find(call_id), brief=False)

    async def timeline(self, call_id: str) -> Mapping[str, Any]:
        return await self._timelines.of(call_id)

    def trigger(
        self, call_id: str, trigger: Trigger, *, idempotency_key: str | None, operator: str
    ) -> ResponseView:
        call = self.find(call_id)
        if idempotency_key is not None:
            known = self._keys.get((call_id, idempotency_key))
            if known is not None:
                request_id = _same(known, trigger)
                entry = call.ledger.get(request_id)
                return forgotten_view(call, request_id) if entry is None else response_view(call, entry)
        if call.state is CallState.ENDED:
            raise CallEnded("the call has ended", outcome=_outcome_word(call.outcome))
        request_id = f"req_{self._tokens()}"
        if trigger.note_only:
            noted = take_note(call, trigger.instructions or "", operator, request_id, trigger.metadata)
            if idempotency_key is not None:
                remember(self._keys, (call_id, idempotency_key), (request_id, printed(trigger)))
            return response_view(call, noted)
        deadline_s = None if trigger.deadline_ms is None else trigger.deadline_ms / 1000
        try:
            when = When(trigger.when)
        except ValueError:
            raise RequestRefused("when", f"must be one of {', '.join(When)}") from None
        try:
            entry = call.trigger(
                trigger.instructions,
                trigger.metadata,
                request_id=request_id,
                when=when,
                deadline_s=deadline_s,
                coalesce=trigger.coalesce,
            )
        except RequestRefused as error:
            if error.code == "queue_full":
                self._metrics.queue_full()
            raise
        if idempotency_key is not None:
            remember(self._keys, (call_id, idempotency_key), (request_id, printed(trigger)))
        call.journal.write(
            "operator.trigger", operator=operator, request_id=request_id, instructions=trigger.instructions
        )
        return response_view(call, entry)

    def dial(self, wish: DialWish, *, idempotency_key: str | None, operator: str) -> CallView:
        known = self.dialled_for(idempotency_key or "")
        if known is not None:
            return known
        if self.place is None:
            raise RequestRefused("to", "the service is not up yet", code="not_listening")
        call = self.place(wish)
        call.journal.write("operator.dial", operator=operator, consent_reference=wish.consent_reference)
        if idempotency_key is not None:
            remember(self._dialled, idempotency_key, call.id)
        return self._view(call, brief=True)

    def dialled_for(self, key: str) -> CallView | None:
        """Return the call that was placed for a key. Raises KeyError when it was too long ago."""
        known = self._dialled.get(key)
        return None if known is None else self._view(self.find(known), brief=True)

    def response(self, call_id: str, response_id: str) -> ResponseView:
        call = self.find(call_id)
        entry = call.ledger.get(response_id)
        if entry is None:
            raise KeyError(response_id)
        return response_view(call, entry)

    def withdraw(self, call_id: str, response_id: str, *, operator: str) -> ResponseView:
        call = self.find(call_id)
        entry = call.ledger.get(response_id)
        if entry is None:
            raise KeyError(response_id)
        if entry.outcome is None:
            call.journal.write("operator.withdraw", operator=operator, request_id=response_id)
            call.withdraw(response_id)
        return response_view(call, entry)

    async def hang_up(self, call_id: str, *, operator: str) -> CallView:
        call = self.find(call_id)
        if call.state is CallState.ENDED:
            raise CallEnded("the call has ended", outcome=_outcome_word(call.outcome))
        call.journal.write("operator.hang_up", operator=operator)
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ended_waiters.setdefault(call_id, []).append(ended)
        call.end("operator_hung_up")
        await ended
        return self._view(call, brief=False)

    async def act(self, call_id: str, act: Act, *, idempotency_key: str | None, operator: str) -> CallView:
        call = self.find(call_id)
        place = (f"{call_id} {act.what}", idempotency_key or "")
        known = self._keys.get(place)
        if known is not None:
            _same(known, act)
        else:
            if call.state is CallState.ENDED:
                raise CallEnded("the call has ended", outcome=_outcome_word(call.outcome))
            if idempotency_key is not None:
                # Before it is done: who repeats it now must not do it twice.
                remember(self._keys, place, (act.what, printed(act)))
            try:
                await _act(call, act, operator, self._tokens)
            except BaseException:
                self._keys.pop(place, None)
                raise
        return self._view(call, brief=False)

    def tagged(self, call_id: str, tags: Sequence[str], *, operator: str) -> None:
        try:
            call = self.find(call_id)
        except KeyError:
            self._late_tags.put(call_id, tags, operator)
            return
        self._tags[call_id] = tuple(tags)
        if call.state is not CallState.ENDED:
            call.journal.write("operator.tag", operator=operator, tags=list(tags))
        else:
            self._late_tags.put(call_id, tags, operator)
        self._publish("call.changed", call)

    def listen(self, call_id: str, *, operator: str) -> Listener:
        call = self.find(call_id)
        if call.state is CallState.ENDED:
            raise CallEnded("the call has ended", outcome=_outcome_word(call.outcome))
        return call.listening.join(operator)

    def events(self, *, after: int | None = None) -> AsyncIterator[LiveEvent]:
        return self._hub.watch(after)

    def trunks(self) -> Sequence[Mapping[str, Any]]:
        return self._trunks()

    def alerts(self) -> Sequence[Mapping[str, Any]]:
        return () if self._alarms is None else self._alarms.views()

    def flows(self) -> Mapping[str, Any]:
        return {} if self._flows is None else self._flows.view()

    async def reload_flows(self, *, operator: str) -> Mapping[str, Any]:
        if self._flows is None:
            raise FlowsRefused(["flows: cannot be read again here"])
        return await self._flows.reload(operator)

    def ready(self) -> tuple[bool, Mapping[str, Any]]:
        return self._readiness()

    # ── the house asks ──────────────────────────────────────────────────────────────────────────
    @property
    def live(self) -> Sequence[Call]:
        """Calls that have not ended."""
        return tuple(self._live.values())

    @property
    def lately_ended(self) -> Sequence[Call]:
        """Calls that have ended, as far as they are still known here."""
        return tuple(self._ended.values())

    def without_secrets(self, text: str) -> str:
        """Return ``text`` without what callers have typed in secret."""
        for call in (*self._live.values(), *self._ended.values()):
            text = call.secrecy.masked(text)
        return text

    def find(self, call_id: str) -> Call:
        """Return the call; KeyError when it is unknown (or too long ago)."""
        return self._live.get(call_id) or self._ended[call_id]

    def add(self, call: Call) -> None:
        """A call has been offered."""
        self._live[call.id] = call
        self._timelines.begin(call.id, call.journal)
        if self._alarms is not None:
            call.journal.tap(self._alarms.journal_entry, kinds=Alarms.kinds)
        figures = JournalFigures(self._metrics, call.info.direction)
        call.journal.tap(figures.take, kinds=figures.kinds)
        self._metrics.call_started(call.info.direction)
        self._publish("call.started", call)

    def summary(self, call: Call) -> Mapping[str, Any]:
        """Return a call as the list and the live events show it."""
        return call_data(self._view(call, brief=True))

    def masked(self, call_id: str, text: str) -> str:
        """Return ``text`` without what that call's caller has typed in secret."""
        call = self._live.get(call_id) or self._ended.get(call_id)
        return text if call is None else call.secrecy.masked(text)

    # ── calls report (CallObserver) ─────────────────────────────────────────────────────────────
    def call_changed(self, call: Call) -> None:
        if call.id in self._live:
            self._publish("call.changed", call)

    def response_changed(self, call: Call, entry: LedgerEntry) -> None:
        self._hub.publish("response.state", call.id, lambda: response_data(response_view(call, entry)))
        if entry.state == NOTED:
            return
        self._count_waiting(call, entry)
        if entry.state == "audible" and entry.audible_s is not None:
            self._metrics.response_audible(entry.request.origin.value, entry.audible_s)
        if entry.outcome is not None:
            self._metrics.response_ended(entry.request.origin.value, entry.outcome.kind.value)
            if entry.outcome.by is InterruptedBy.CALLER and not call.leg_gone:
                self._metrics.barged_in()

    def utterance_changed(self, call: Call, line: Utterance) -> None:
        if not line.growing:
            self._growing.overtaken(call, line)
            self._tell_line(call, line)
        elif self._hub.wanted(LINE, call.id):
            self._growing.grew(call, line)

    def _tell_line(self, call: Call, line: Utterance) -> None:
        self._hub.publish(LINE, call.id, lambda: line_data(transcript_line(line)))

    def noticed(self, call: Call, notice: RealtimeModelNoticeEvent) -> None:
        self._metrics.notice(notice.code)
        if notice.code == "held" and notice.details.get("reason") in _ALIVE:
            self._metrics.overlap_prevented()

    def digit_pressed(self, call: Call, digit: str) -> None:
        self._hub.publish("caller.digit", call.id, {"digit": digit})

    def tool_ended(self, call: Call, name: str, ok: bool, seconds: float) -> None:
        self._hub.publish("tool.ended", call.id, {"tool": name, "ok": ok, "seconds": round(seconds, 3)})

    def happened(self, call: Call, kind: str, facts: Mapping[str, Any]) -> None:
        if kind == "flow.failed":
            self._metrics.flow_failed(call.flow.name)
        elif kind.startswith("queue."):
            self._metrics.queue_waiting(facts["queue"], facts["waiting"])
        elif kind in ("recording.started", "recording.finished", "recording.failed"):
            self._metrics.recording(kind.removeprefix("recording."))
        self._hub.publish(kind, call.id, dict(facts))
        if kind.startswith("recording."):
            self.recorded(call, kind, facts)
            self.call_changed(call)

    def call_ended(self, call: Call) -> None:
        self._growing.flush(call)
        self._live.pop(call.id, None)
        self._ended[call.id] = call
        while len(self._ended) > ENDED_KEPT:
            forgotten, old = self._ended.popitem(last=False)
            let_go(old)
            self._tags.pop(forgotten, None)
            self._timelines.forget(forgotten)
        self._metrics.call_ended(call.outcome.kind.value if call.outcome else "unknown", call.seconds)
        self._metrics.dead_air(call.watch.longest_gap_s)
        media = call.leg.figures()
        self._metrics.rtp(
            received=media.received, sent=media.sent, lost=media.lost, late=media.late, foreign=media.foreign
        )
        self._metrics.call_quality(media.details)
        if call.outcome is not None and call.outcome.kind is OutcomeClass.PROVIDER:
            if self._alarms is None:
                self._metrics.provider_failed(call.outcome.reason)
            else:
                self._alarms.provider_failed(call.outcome.reason)
        for key in [key for key in self._queued if key[0] == call.id]:
            self._queued.discard(key)
            self._metrics.response_left_queue()
        self._publish("call.ended", call)
        if self._alarms is not None:
            self._alarms.call_ended(call.id)
        self.ended(call)
        for waiter in self._ended_waiters.pop(call.id, ()):
            if not waiter.done():
                waiter.set_result(None)

    def forget(self, calls: Collection[str]) -> None:
        """Know nothing of these calls any more, as far as they have ended."""
        for call_id in calls:
            if call_id not in self._live:
                if (old := self._ended.pop(call_id, None)) is not None:
                    let_go(old)
                self._tags.pop(call_id, None)
                self._timelines.forget(call_id)
        self._hub.forget(frozenset(calls))

    def _count_waiting(self, call: Call, entry: LedgerEntry) -> None:
        key = call.id, entry.request.id
        waits = entry.state == Progress.QUEUED
        if waits and key not in self._queued:
            self._queued.add(key)
            self._metrics.response_queued()
        elif not waits and key in self._queued:
            self._queued.discard(key)
            self._metrics.response_left_queue()

    def _turn_answered(self, turn: Turn) -> None:
        self._metrics.turn_answered(turn.latency_s, turn.parts)
        if self._alarms is not None:
            self._alarms.turn_answered(turn.latency_s)

    def _publish(self, kind: str, call: Call) -> None:
        self._hub.publish(kind, call.id, lambda: call_data(self._view(call, brief=True)))

    def _view(self, call: Call, *, brief: bool) -> CallView:
        figures = call.leg.figures()
        return CallView(
            id=call.id,
            caller=call.info.caller,
            called=call.info.called,
            kind=call.info.kind,
            direction=call.info.direction,
            flow=call.flow.name,
            step=call.step,
            state=call.state.value,
            started_at=call.started_at,
            duration_s=round(call.seconds, 1),
            floor="held" if call.held else call.floor,
            last_words=call.transcript.last_words,
            outcome=asdict(call.outcome) if call.outcome else None,
            provider=self._provider,
            trunk=call.info.trunk,
            held_by=call.holding.by,
            abilities=() if call.state is CallState.ENDED else call.operating.abilities,
            tags=self._tags.get(call.id, ()),
            recording={"state": call.recorder.state, "files": list(call.recorder.files)},
            transfer=None if call.transfers.newest is None else asdict(call.transfers.newest),
            listeners=call.listening.names,
            taken_over_by=call.take_over.operator,
            trace_id=call.origin.get("trace_id", ""),
            node=self._node,
            transcript=() if brief else [transcript_line(line) for line in call.transcript.lines],
            responses=() if brief else [response_view(call, entry) for entry in call.ledger],
            figures={
                "received": figures.received,
                "sent": figures.sent,
                "lost": figures.lost,
                "late": figures.late,
                "foreign": figures.foreign,
                "barge_ins": call.barge_ins,
                "answered": float(call.answered_at is not None),
                **_first_words(call),
                **({} if brief else figures.details),
            },
        )


async def _act(call: Call, act: Act, operator: str, tokens: Tokens) -> None:
    hand = call.operating
    match act.what:
        case "hold":
            await hand.hold(operator)
        case "resume":
            await hand.resume(operator)
        case "take_over":
            await hand.take_over(operator)
        case "hand_back":
            await hand.hand_back(operator)
        case "transfer":
            await hand.transfer(act.target, operator, attended=act.attended)
        case "send_digits":
            await hand.send_digits(act.digits, operator)
        case "note":
            take_note(call, act.text, operator, f"req_{tokens()}")
        case "pause_recording":
            hand.pause_recording(operator)
        case "resume_recording":
            hand.resume_recording(operator)


def printed(wish: Trigger | Act) -> bytes:
    """Return what tells two wishes apart."""
    return hashlib.sha256(repr(wish).encode("utf-8", "backslashreplace")).digest()


def _same(known: tuple[str, bytes], wish: Trigger | Act) -> str:
    """Return what a key led to: only here is it known what it came with, whichever node was asked."""
    if known[1] != printed(wish):
        raise RequestRefused("Idempotency-Key", "came before with another body", code="idempotency_mismatch")
    return known[0]


def remember(known: OrderedDict[Key, Value], key: Key, value: Value) -> None:
    """Keep what an idempotency key led to, for the newest keys."""
    known[key] = value
    while len(known) > IDEMPOTENCY_KEPT:
        known.popitem(last=False)


def _first_words(call: Call) -> Mapping[str, float]:
    return {} if call.first_words_s is None else {"first_words_ms": round(call.first_words_s * 1000, 1)}


def response_view(call: Call, entry: LedgerEntry) -> ResponseView:
    """Return one response request as the console shows it."""
    return ResponseView(
        id=entry.request.id,
        call_id=call.id,
        origin=entry.request.origin.value,
        instructions=entry.line,
        metadata=dict(entry.metadata),
        state=entry.state,
        reason=entry.reason,
        submitted_at=round(call.wall(entry.submitted_at), 3),
        outcome=outcome_data(entry.outcome),
    )


def forgotten_view(call: Call, request_id: str) -> ResponseView:
    """Return what is left of a request that ended so long ago that the ledger let it go."""
    return ResponseView(
        id=request_id,
        call_id=call.id,
        origin=Origin.OPERATOR.value,
        instructions=None,
        metadata={},
        state="ended",
        reason="ended long ago; its outcome stands in the journal",
        submitted_at=call.started_at,
        outcome=None,
    )


def outcome_data(outcome: Outcome | None) -> Mapping[str, Any] | None:
    """Return an outcome as plain data, empty fields left out."""
    if outcome is None:
        return None
    data = {name: value for name, value in asdict(outcome).items() if value is not None}
    data["kind"] = outcome.kind.value
    if outcome.by is not None:
        data["by"] = outcome.by.value
    return data


def transcript_line(line: Utterance) -> TranscriptLine:
    """Return one utterance as the console shows it."""
    return TranscriptLine(
        at=line.at,
        speaker=line.speaker,
        text=line.text,
        full_text=line.full_text,
        item_id=line.key,
        cut=line.cut,
    )


def _outcome_word(outcome: CallOutcome | None) -> str:
    return "unknown" if outcome is None else f"{outcome.kind.value}: {outcome.reason}"
