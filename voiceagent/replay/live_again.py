"""A recorded call lived again: today's flow, call, session and sequencer, with the inputs of then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from voiceagent.call.call import Call
from voiceagent.call.config import CallConfig
from voiceagent.call.hosted_leg import HostedLeg
from voiceagent.call.inputs import Inputs
from voiceagent.call.ledger import LedgerEntry
from voiceagent.call.leg import G711, Leg
from voiceagent.call.notes import take_note
from voiceagent.call.outcome import OutcomeClass
from voiceagent.call.session_opening import opened, watched
from voiceagent.call.session_setup import SessionDefaults, session_config
from voiceagent.call.transcript import Utterance
from voiceagent.errors import CallEnded, ProviderError, RequestRefused
from voiceagent.ivr.flow import Flow
from voiceagent.realtime.model_events import RealtimeModelNoticeEvent
from voiceagent.realtime.providers import provider
from voiceagent.realtime.requests import When
from voiceagent.realtime.session import RealtimeSession
from voiceagent.realtime.sip_attach import OpenAIRealtimeSIPModel
from voiceagent.realtime.webhook_event import CallOffer
from voiceagent.realtime.websocket import OpenAIRealtimeWebSocketModel
from voiceagent.records.journal import Journal
from voiceagent.replay.legs import ReplayLegs
from voiceagent.replay.others import ReplayGreeting, ReplayOutside, ReplayRecordings
from voiceagent.replay.provider import ReplayControl, ReplayProvider
from voiceagent.replay.recording import Entry, Recording
from voiceagent.replay.replay_loop import LATE_S, ReplayLoop
from voiceagent.replay.script import ReplayScript, Untaken
from voiceagent.replay.trace import rebuild, tuples

GRACE_S = 30.0
"""How long after the recording's end the call may still go on."""


@dataclass(slots=True)
class Replayed:
    """What a call decided when it was lived again."""

    decisions: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    untaken: Untaken = field(default_factory=Untaken)
    stood_still: bool = False


class Nobody:
    """An observer that looks away."""

    def call_changed(self, call: Call) -> None: ...

    def response_changed(self, call: Call, entry: LedgerEntry) -> None: ...

    def utterance_changed(self, call: Call, line: Utterance) -> None: ...

    def noticed(self, call: Call, notice: RealtimeModelNoticeEvent) -> None: ...

    def digit_pressed(self, call: Call, digit: str) -> None: ...

    def happened(self, call: Call, kind: str, facts: Mapping[str, Any]) -> None: ...

    def tool_ended(self, call: Call, name: str, ok: bool, seconds: float) -> None: ...

    def call_ended(self, call: Call) -> None: ...


def live_again(recording: Recording, flow: Flow, *, late_s: float = LATE_S) -> Replayed:
    """Live a recorded call again, on a loop of its own. ``late_s``: how late its timers may have fired."""
    start = recording.loop_start
    until = start + recording.last + GRACE_S
    stalls = [(start + since, start + to) for since, to in recording.late]

    uvloop = bool(recording.made.get("uvloop"))

    def loop_factory() -> ReplayLoop:
        return ReplayLoop(start, late_s=late_s, stalls=stalls, until=until, uvloop=uvloop)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        loop = cast("ReplayLoop", runner.get_loop())
        return runner.run(_Life(recording, flow, loop).live())


class _Life:
    def __init__(self, recording: Recording, flow: Flow, loop: ReplayLoop) -> None:
        self._recording = recording
        self._made: Mapping[str, Any] = recording.made
        self._flow = flow
        self._loop = loop
        self._still = asyncio.Event()
        self._script = ReplayScript(recording, self._still.set)
        self._wishes: set[asyncio.Task[Any]] = set()
        self._leg: Leg | None = None

    async def live(self) -> Replayed:
        script, made = self._script, self._made
        journal = Journal(None, None, monotonic=self._loop.time)
        self._loop.set_clock(round(self._recording.loop_start + float(made["made"]), 6))
        journal.tap(script.tap)
        inputs = Inputs(journal, str(made["seed"]), wall=self._wall)
        legs = ReplayLegs(script)
        self._provider = ReplayProvider(script, made["format"])
        self._leg = self._first_leg(legs)
        call = self._call = Call(
            str(made["call_id"]),
            self._leg,
            self._flow,
            open_session=self._opener("first"),
            open_second=self._opener("second") if made["second"] else None,
            config=rebuild(CallConfig, tuples(made["config"])),
            journal=journal,
            observer=Nobody(),
            tokens=inputs.tokens("call"),
            transcription=made["transcription"],
            dial=legs.dial if made["dials"] else None,
            metadata=made["metadata"],
            outside=ReplayOutside(script, self._recording),
            origin=made.get("origin"),
            recordings=ReplayRecordings(script),
        )
        if call.placing is not None:
            call.placing.greeting = ReplayGreeting(made["format"], script)
        script.takers["operator"] = self._operator
        self._loop.set_clock(round(self._recording.loop_start + self._recording.begun, 6))
        self._run = asyncio.create_task(call.run(), name="the call")
        script.anchor, script.clock = self._loop.anchor, self._loop.set_clock
        self._loop.script = script
        still = asyncio.create_task(self._still.wait(), name="standstill")
        await asyncio.wait({self._run, still}, return_when=asyncio.FIRST_COMPLETED)
        stood_still = not self._run.done()
        script.over = True
        self._loop.script = None
        still.cancel()
        self._run.cancel()
        for task in self._wishes:
            task.cancel()
        await asyncio.wait({self._run, still, *self._wishes}, timeout=GRACE_S)
        return Replayed(script.decisions, script.untaken, stood_still and self._recording.ended)

    def _wall(self) -> float:
        return float(self._made["began_at"]) + self._loop.time() - self._recording.loop_start

    # ── the two ends ────────────────────────────────────────────────────────────────────────────
    def _first_leg(self, legs: ReplayLegs) -> Leg:
        info = self._made["info"]
        if info["kind"] != "hosted":
            return legs.make(1, self._made)
        offer = CallOffer(info["id"], tuple((name, value) for name, value in info["headers"]))
        first = next((one.entry for one in self._recording.pulled if one.kind == "session"), None)
        session: Mapping[str, Any] | None = {}
        if first is not None:
            profile = provider(str(first["provider"]))
            config = session_config(self._flow, "audio/pcmu", _defaults(first), playout=False)
            session = config.to_accept(model=first["model"] or "", layout=profile.config_layout)
            session = session if profile.accept == "rest" else None
        return HostedLeg(offer, ReplayControl(self._script), session=session)

    def _opener(self, place: str) -> Callable[[Flow, G711, Journal], Awaitable[RealtimeSession]]:
        async def open_session(flow: Flow, audio_format: G711, journal: Journal) -> RealtimeSession:
            entry = self._script.pull("session", place="hosted" if self._hosted else place)
            if entry is None:
                raise ProviderError("no session was opened here in the recording", code="not_recorded")
            return await self._open(entry, flow, audio_format, journal)

        return open_session

    @property
    def _hosted(self) -> bool:
        return isinstance(self._leg, HostedLeg)

    async def _open(self, entry: Entry, flow: Flow, audio_format: G711, journal: Journal) -> RealtimeSession:
        defaults = _defaults(entry)
        config = session_config(flow, audio_format, defaults, playout=not self._hosted)
        watching = watched(
            journal,
            defaults,
            place=str(entry["place"]),
            provider=str(entry["provider"]),
            model=entry["model"],
            voice=entry["voice"],
        )
        common: dict[str, Any] = {
            "provider": str(entry["provider"]),
            "url": "ws://recorded.invalid",
            "api_key": "recorded",
            "transport": self._provider.open,
            **watching,
        }
        leg = self._leg
        if not isinstance(leg, HostedLeg):
            if entry["place"] == "second":
                config = replace(config, voice=entry["voice"])
            return await opened(OpenAIRealtimeWebSocketModel(model=entry["model"], **common), config, journal)
        inputs = cast("Inputs", journal.inputs)
        model = OpenAIRealtimeSIPModel(
            call_id=leg.call_id,
            accepted=leg.session,
            over=leg.call_over,
            digits_end_prompts=False,
            chance=inputs.chance("attach"),
            **common,
        )
        model.add_listener(leg.model_event)
        return await opened(model, config, journal)

    # ── operators ───────────────────────────────────────────────────────────────────────────────
    def _operator(self, entry: Entry) -> bool:
        call = self._call
        match entry["what"]:
            case "trigger":
                self._trigger(entry)
            case "withdraw":
                call.withdraw(entry["id"])
            case "end":
                call.end(entry["reason"], kind=OutcomeClass(entry["kind"]))
            case "cancelled":
                self._run.cancel()
            case "listen":
                self._refusable(call.listening.join, entry["operator"])
            case "listen_ended":
                call.listening.leave(entry["listener"], entry["dropped"])
            case "take_over":
                self._wish(call.operating.take_over(entry["operator"]))
            case "hand_back":
                self._wish(call.operating.hand_back(entry["operator"]))
            case "voice_lost":
                call.take_over.voice_lost()
            case "words":
                call.take_over.words.put_silence(entry["at"], entry["ms"])
            case "handed_back":
                call.take_over.finish()
            case "note":
                told = entry["text"], entry["operator"], entry["id"], entry["metadata"]
                self._refusable(take_note, call, *told)
            case "pause_recording":
                self._refusable(call.operating.pause_recording, entry["operator"])
            case "resume_recording":
                self._refusable(call.operating.resume_recording, entry["operator"])
            case "hold":
                self._wish(call.operating.hold(entry["operator"]))
            case "resume":
                self._wish(call.operating.resume(entry["operator"]))
            case "send_digits":
                self._wish(call.operating.send_digits(entry["digits"].replace("•", "0"), entry["operator"]))
            case "transfer":
                attended = bool(entry["attended"])
                self._wish(call.operating.transfer(entry["target"], entry["operator"], attended=attended))
            case _:
                return False
        return True

    @staticmethod
    def _refusable(act: Callable[..., object], *given: Any) -> None:
        try:
            act(*given)
        except (CallEnded, RequestRefused):
            return  # refused then, or now; what the call does about it is compared

    def _trigger(self, entry: Entry) -> None:
        options = dict(entry["options"])
        if "when" in options:
            options["when"] = When(options["when"])
        try:
            self._call.trigger(entry["instructions"], entry["metadata"], request_id=entry["id"], **options)
        except (CallEnded, RequestRefused):
            return  # refused then, or now; what the call does about it is compared

    def _wish(self, work: Any) -> None:
        async def asked() -> None:
            try:
                await work
            except (CallEnded, RequestRefused):
                return

        task = self._loop.begin(asked())
        self._wishes.add(task)
        task.add_done_callback(self._wishes.discard)


def _defaults(entry: Entry) -> SessionDefaults:
    return rebuild(SessionDefaults, entry["defaults"])
