"""One simulated call: the real handler, session and sequencer between two ends of ours; the caller's hand."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from voiceagent.call.call import Call
from voiceagent.call.config import CallConfig
from voiceagent.call.inputs import Inputs
from voiceagent.call.leg import G711, Heard, Leg, LegEnd, LegInfo
from voiceagent.call.local_lines import is_local
from voiceagent.call.outcome import CallOutcome, OutcomeClass
from voiceagent.call.recorded_call import write_session
from voiceagent.call.session_setup import SessionDefaults, session_config
from voiceagent.call.sounds import SOUND
from voiceagent.errors import CallEnded, RequestRefused
from voiceagent.ids import counted_tokens
from voiceagent.ivr.flow import Flow
from voiceagent.ivr.routing.patterns import ANY
from voiceagent.realtime.requests import When
from voiceagent.realtime.session import RealtimeSession
from voiceagent.realtime.websocket import OpenAIRealtimeWebSocketModel
from voiceagent.records.journal import Journal
from voiceagent.simulate.judge import first_missing
from voiceagent.simulate.leg import SimLeg
from voiceagent.simulate.outside import ScenarioOutside
from voiceagent.simulate.provider import Brain, SimProvider, decide
from voiceagent.simulate.queues import SimQueues
from voiceagent.simulate.record import Record
from voiceagent.simulate.scenario import Operator, Scenario
from voiceagent.simulate.speech_time import spoken_ms
from voiceagent.simulate.surroundings import NO_SETTINGS, Surroundings

TRANSCRIPTION: Mapping[str, Any] = {"model": "simulated", "language": "en"}
DEFAULTS = SessionDefaults(transcription=TRANSCRIPTION)
EPOCH = 1_750_000_000.0
"""Unix time of the loop's zero in simulated journals: they are to be equal whenever they are made."""
ONSET_S = 0.1
"""From the caller's first sound to the provider's word that it hears speech."""
SETTLE_S = 0.02
"""After the last change, before the agent counts as done with a flow that listens."""
QUIET_S = 1.0
"""The same where the flow does not listen: it may only pause."""
CALL_ID = "call_sim"
PROVIDER = "embedded"
"""Whose profile the simulated provider has."""
SEED = "0000000000000000"
"""Of the ids and dice of a call whose journal can be replayed."""


class SimCall:
    """Made on a simulation loop. The caller's acts are coroutines; each returns when it is done."""

    def __init__(
        self,
        flow: Flow,
        scenario: Scenario,
        *,
        around: Surroundings = NO_SETTINGS,
        brain: Brain = decide,
        inputs: bool = False,
    ) -> None:
        """``inputs``: the journal is to hold what a replay needs.

        Raises ConfigError for a scenario that does not fit what is ``around``.
        """
        config = around.config or CallConfig(transfer_targets=("*",))
        self.scenario = scenario
        self._loop = asyncio.get_running_loop()
        self._changes = asyncio.Event()
        self.record = Record(self._changes.set)
        self.queues = SimQueues(around.queues, scenario.queues, config.transfer_targets)
        self._defaults = replace(around.defaults or DEFAULTS, transcription=TRANSCRIPTION)
        self.provider = SimProvider(scenario.provider, brain)
        self.outside = ScenarioOutside(scenario.tools, scenario.fetch, self._changes.set)
        self.leg = SimLeg(_info(flow, scenario), scenario.transfer, scenario.answer)
        self._event_ids, self._session_ids = counted_tokens("e"), counted_tokens("s")
        self._wishes = counted_tokens("op")
        self._second_ids = counted_tokens("leg-")
        self._sessions = 0
        self.leg.on_voice = self._voice
        journal = Journal(None, None, monotonic=self._loop.time, wall=lambda: EPOCH + self._loop.time())
        journal.tap(self._journalled)
        self._inputs = Inputs(journal, SEED) if inputs else None
        if self._inputs is not None:
            self._inputs.began_at = EPOCH + journal.start
        self.call = Call(
            CALL_ID,
            self.leg,
            flow,
            open_session=self._open,
            config=config,
            journal=journal,
            observer=self.record,
            tokens=counted_tokens("r") if self._inputs is None else self._inputs.tokens("call"),
            transcription=TRANSCRIPTION,
            dial=self._dial,
            metadata=scenario.metadata,
            outside=self.outside,
            queues=self.queues.room,
        )
        self._life: asyncio.Task[CallOutcome] | None = None

    async def _open(self, flow: Flow, audio_format: G711, journal: Journal) -> RealtimeSession:
        self._sessions += 1
        session_number = self._sessions

        def trace(step: object, now: float) -> None:
            journal.write("sequencer", step, loop_t=round(now, 6), session=session_number)

        inputs = self._inputs
        if inputs is not None:
            write_session(
                inputs,
                provider=PROVIDER,
                defaults=self._defaults,
                place="first",
                model=flow.options.model,
                voice=None,
            )
        model = OpenAIRealtimeWebSocketModel(
            provider=PROVIDER,
            url="ws://simulated",
            transport=self.provider.open,
            tokens=self._event_ids if inputs is None else inputs.tokens("model"),
            tap=inputs,
            trace=trace,
            wall=lambda: EPOCH + self._loop.time(),
        )
        config = session_config(flow, audio_format, self._defaults)
        session_ids = self._session_ids if inputs is None else inputs.tokens("session")
        session = RealtimeSession(model=model, config=config, tokens=session_ids)
        await session.open()
        return session

    def _dial(self, target: str, headers: object, for_leg: Leg) -> Leg:
        info = LegInfo(self._second_ids(), "direct", "agent", target, direction="outbound", dialled=target)
        return SimLeg(info, self.queues.answer() or self.scenario.transfer)

    def _voice(self, response_id: str, heard: Heard | None) -> None:
        if is_local(response_id) and not response_id.startswith(SOUND):
            return
        if heard is None:
            self.record.voice_begins(self.now, response_id)
        else:
            self.record.voice_ends(self.now, response_id, heard.cut)

    def _journalled(self, entry: Mapping[str, Any]) -> None:
        self.record.take(entry)
        match entry["type"]:
            case "call.answered":
                self._answered()
            case "queue.entered":
                self.queues.entered(entry["queue"])
            case "queue.left":
                self.queues.left()
            case _:
                pass

    def _answered(self) -> None:
        for turn in self.record.sound_ended:  # who only listens waits from the answer on
            self.record.sound_ended[turn] = self.now
        lost_at = self.scenario.provider.lost_at_ms
        if lost_at is not None:
            self._loop.call_later(lost_at / 1000, self.provider.lose)

    # ── life ────────────────────────────────────────────────────────────────────────────────────
    def start(self) -> None:
        """The call is offered, or placed."""
        self._life = self._loop.create_task(self._run(), name="the simulated call")
        self._life.add_done_callback(lambda _: self._changes.set())

    async def _run(self) -> CallOutcome:
        await self.queues.fill()
        return await self.call.run()

    @property
    def over(self) -> bool:
        """True once the call has ended and its record is written."""
        return self._life is None or self._life.done()

    @property
    def now(self) -> float:
        """Seconds since the call was offered."""
        return self.call.seconds

    async def finish(self) -> None:
        """The caller listens until the agent is done, hangs up, and the call comes to its end."""
        assert self._life is not None
        await self.until_done()
        if not self.over:
            await self.hang_up()
        await asyncio.wait({self._life})

    @property
    def crash(self) -> BaseException | None:
        """What the call handler itself has raised, if it has."""
        if self._life is None or not self._life.done() or self._life.cancelled():
            return None
        return self._life.exception()

    async def give_up(self) -> None:
        """End the call, wherever it is: it takes too long."""
        assert self._life is not None
        self.call.end("limit", kind=OutcomeClass.OURS)
        await asyncio.wait({self._life}, timeout=30)

    # ── waiting ─────────────────────────────────────────────────────────────────────────────────
    async def until_done(self) -> None:
        """Wait until the agent has spoken, nothing is being worked on, and the caller may act; or the end."""
        while not self.over:
            if self._busy():
                await self._change(None)
            elif await self._change(SETTLE_S) or self._busy():
                continue
            elif self.call.ear.flow_listens or not await self._change(QUIET_S):
                return

    def _busy(self) -> bool:
        call = self.call
        return bool(
            call.answered_at is None
            or call.closing
            or call.agent_audible
            or call.transfers.active
            or self.record.tools_at_work
            or self.outside.at_work
            or call.ledger.open()
        )

    async def until_voice(self, at_ms: int) -> bool:
        """Wait until the agent's voice has been heard for ``at_ms``; False when it is silent by then."""
        while not self.over and not self.call.agent_audible:
            await self._change(None)
        await asyncio.sleep(at_ms / 1000)
        return self.call.agent_audible

    async def until_steps(self, names: Sequence[str], since: int) -> bool:
        """Wait until the flow reaches steps after the first ``since`` events; False when it never does."""
        while True:
            steps = [event.text for event in self.record.events[since:] if event.kind == "step"]
            if first_missing(names, steps) is None:
                return True
            if self.over:
                return False
            await self._change(None)

    async def _change(self, within_s: float | None) -> bool:
        """Wait for the next change; False when there is none in time."""
        self._changes.clear()
        try:
            async with asyncio.timeout(within_s):
                await self._changes.wait()
        except TimeoutError:
            return False
        return True

    # ── acts ────────────────────────────────────────────────────────────────────────────────────
    def begin_turn(self, number: int, act: str) -> None:
        """Mark in the record that a turn begins."""
        self.record.add(self.now, "turn", act, number=number)
        self.record.sound_ended[number] = self.now

    def _sound_ended(self, number: int | None) -> None:
        if number is not None:
            self.record.sound_ended[number] = self.now

    async def say(self, text: str, lasts_ms: int | None = None, *, turn: int | None = None) -> None:
        """The caller speaks one turn; returns when the provider has understood it."""
        pace = self.scenario.provider
        lasts = spoken_ms(text, pace.words_per_minute) if lasts_ms is None else lasts_ms
        if self.call.held:
            self.record.add(self.now, "caller", text, unheard="on hold")
            await asyncio.sleep(lasts / 1000)
            self._sound_ended(turn)
            return
        self.record.add(self.now, "caller", text)
        await asyncio.sleep(ONSET_S)
        item = self.provider.caller_begins()
        await asyncio.sleep(max(0.0, lasts / 1000 - ONSET_S))
        self._sound_ended(turn)
        await asyncio.sleep(self.provider.silence_ms / 1000)
        self.provider.caller_stopped(item)
        await asyncio.sleep(pace.transcription_ms / 1000)
        self.provider.caller_said(item, text)
        await asyncio.sleep(SETTLE_S)

    async def press(self, digits: str, pace_ms: int = 250, *, turn: int | None = None) -> None:
        """The caller presses keys."""
        self.record.add(self.now, "keys", digits)
        for index, digit in enumerate(digits):
            if index:
                await asyncio.sleep(pace_ms / 1000)
            if self.leg.ended:
                return
            self.leg.listener.leg_digit(digit)
        self._sound_ended(turn)

    async def wait(self, ms: int) -> None:
        """The caller does nothing for so long, or until the call ends."""
        assert self._life is not None
        await asyncio.wait({self._life}, timeout=ms / 1000)

    async def hold(self, ms: int) -> None:
        """The caller's side puts us on hold for so long."""
        self.leg.caller_holds(True)
        await self.wait(ms)
        if not self.leg.ended:
            self.leg.caller_holds(False)

    async def hang_up(self) -> None:
        """The caller hangs up."""
        self.leg.over(LegEnd.CALLER_HUNG_UP, None, "")
        if self._life is not None:
            await asyncio.wait({self._life})

    def operator(self, wish: Operator) -> None:
        """An operator makes the agent speak; a refusal is noted."""
        self.record.add(self.now, "operator", wish.instructions)
        request_id = f"req_{self._wishes()}"
        try:
            self.call.trigger(
                wish.instructions, wish.metadata, request_id=request_id, when=When(wish.when), deadline_s=None
            )
        except (CallEnded, RequestRefused) as error:
            self.record.add(self.now, "note", f"the operator's wish is refused: {error}")
            return
        self.call.journal.write(
            "operator.trigger", operator="scenario", request_id=request_id, instructions=wish.instructions
        )


def _info(flow: Flow, scenario: Scenario) -> LegInfo:
    """Return who calls whom; without a number, one that the flow answers."""
    numbers = [number for number in flow.numbers if number != ANY]
    called = scenario.called or (numbers[0] if numbers else "100")
    outbound = scenario.direction == "outbound"
    return LegInfo(
        id="leg-1",
        kind="direct",
        caller=scenario.caller,
        called=called,
        caller_name=scenario.caller_name,
        protocol_call_id="simulated@call",
        headers=tuple(scenario.headers.items()),
        direction=scenario.direction,
        dialled=f"sip:{called}@callee.invalid" if outbound else "",
        trunk=scenario.trunk,
    )
