"""One phone call: offered → answered → talking → closing → ended, with one outcome and one journal.

The call is a listener of its leg and of its realtime session; both report synchronously on the loop's
thread. Everything that waits (the flow, tools, the set-up) runs in the call's own TaskGroup.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Any

from voiceagent.call.apology import RESPONSE_ID as APOLOGY
from voiceagent.call.apology import apology
from voiceagent.call.bridge import AudioBridge
from voiceagent.call.config import CallConfig
from voiceagent.call.flow_port import FlowPort
from voiceagent.call.ledger import Ledger, LedgerEntry
from voiceagent.call.leg import G711, Heard, Leg, LegEnd, LegInfo
from voiceagent.call.model_ear import ModelEar
from voiceagent.call.observer import CallObserver
from voiceagent.call.outcome import CallOutcome, OutcomeClass, outcome_of_leg
from voiceagent.call.speech import CallSpeech
from voiceagent.call.transcript import Transcript, Utterance
from voiceagent.errors import CallEnded, MediaError, ProviderError, SipError, VoiceAgentError
from voiceagent.ids import Tokens
from voiceagent.ivr.flow import Flow
from voiceagent.ivr.ports import CallFacts, DigitPressed
from voiceagent.ivr.verbs import Call as FlowCall
from voiceagent.realtime.requests import InterruptedBy, Origin, Outcome
from voiceagent.realtime.session import RealtimeSession
from voiceagent.records.journal import Journal

OpenSession = Callable[[Flow, G711, Journal], Awaitable[RealtimeSession]]
"""Connects a configured session for a flow; raises ProviderError."""


class CallState(StrEnum):
    """Where a call is in its life."""

    OFFERED = "offered"
    TALKING = "talking"
    CLOSING = "closing"
    ENDED = "ended"


class Call:
    """One phone call. :meth:`run` is its whole life."""

    def __init__(
        self,
        call_id: str,
        leg: Leg,
        flow: Flow,
        *,
        open_session: OpenSession,
        config: CallConfig,
        journal: Journal,
        observer: CallObserver,
        tokens: Tokens,
        transcription: Mapping[str, Any] | None,
    ) -> None:
        self.id = call_id
        self.leg = leg
        self.flow = flow
        self.journal = journal
        self.state = CallState.OFFERED
        self.step = ""
        self.floor = "nobody"
        self.started_at = time.time()
        self.ended_at: float | None = None
        self.outcome: CallOutcome | None = None
        self.held = False
        self.barge_ins = 0
        self.digits_pressed = 0
        self.ledger = Ledger(self._response_changed)
        self.transcript = Transcript(self._utterance_changed)
        self.session: RealtimeSession | None = None
        self.speech: CallSpeech | None = None
        self._open_session = open_session
        self._config = config
        self._observer = observer
        self._tokens = tokens
        self._transcription = transcription
        self._bridge: AudioBridge | None = None
        self._port: FlowPort | None = None
        self._ending: asyncio.Future[CallOutcome] | None = None
        self._apology_played: asyncio.Event = asyncio.Event()
        self._started = time.monotonic()
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def info(self) -> LegInfo:
        """Who calls whom."""
        return self.leg.info

    @property
    def seconds(self) -> float:
        """Seconds since the call was offered."""
        return time.monotonic() - self._started

    # ── life ────────────────────────────────────────────────────────────────────────────────────
    async def run(self) -> CallOutcome:
        """Live the call from offer to record; returns its outcome and leaves nothing behind."""
        self._ending = asyncio.get_running_loop().create_future()
        self.leg.listen(self)
        self.journal.write(
            "call.offered",
            call_id=self.id,
            kind=self.info.kind,
            caller=self.info.caller,
            called=self.info.called,
            flow=self.flow.name,
            protocol_call_id=self.info.protocol_call_id,
        )
        self._observer.call_changed(self)
        outcome = CallOutcome(OutcomeClass.UNKNOWN, "cancelled")
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                try:
                    outcome = await self._live()
                finally:
                    self._group = None
                    await self._stop_tasks()
        except asyncio.CancelledError:
            outcome = CallOutcome(OutcomeClass.OURS, "shut_down", "the service was stopped")
            raise
        except Exception as error:
            outcome = CallOutcome(OutcomeClass.OURS, "internal", f"{type(error).__name__}: {error}")
            raise
        finally:
            await asyncio.shield(self._close(outcome))
        return outcome

    async def _live(self) -> CallOutcome:
        assert self._ending is not None
        try:
            await self.leg.prepare()
        except (MediaError, SipError) as error:
            status = error.status if isinstance(error, SipError) else 503
            await self.leg.reject(status, "Not Acceptable Here" if status == 488 else "Service Unavailable")
            fault = OutcomeClass.CALLER if isinstance(error, SipError) else OutcomeClass.OURS
            return CallOutcome(fault, error.code, str(error), status)
        refusal = await self._connect()
        if self._ending.done():
            return self._ending.result()
        await self.leg.answer()
        if refusal is not None:
            return await self._apologise(refusal)
        self._become(CallState.TALKING)
        self._start("flow", self._run_flow())
        try:
            async with asyncio.timeout(self._config.max_duration_s):
                outcome = await asyncio.shield(self._ending)
        except TimeoutError:
            outcome = CallOutcome(OutcomeClass.OURS, "max_duration")
        if outcome.kind is OutcomeClass.PROVIDER:
            return await self._apologise(outcome)
        return outcome

    async def _connect(self) -> CallOutcome | None:
        """Open the realtime session; return why not, or None."""
        connecting = self._start("connect", self._try_to_open())
        assert self._ending is not None
        await asyncio.wait(
            {connecting, self._ending},
            timeout=self._config.connect_timeout_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if not connecting.done():
            connecting.cancel()
            return CallOutcome(OutcomeClass.PROVIDER, "provider_timeout", "no session in time")
        opened = connecting.result()
        if isinstance(opened, ProviderError):
            return CallOutcome(OutcomeClass.PROVIDER, opened.code, str(opened))
        self._attach(opened)
        return None

    async def _try_to_open(self) -> RealtimeSession | ProviderError:
        try:
            return await self._open_session(self.flow, self.leg.audio_format, self.journal)
        except ProviderError as error:
            return error

    def _attach(self, session: RealtimeSession) -> None:
        self.session = session
        self._bridge = AudioBridge(self.leg, session, self.agent_silent)
        self.speech = CallSpeech(self.id, session, self.ledger, self._tokens, self._tool_ended, self._start)
        self._port = FlowPort(
            CallFacts(
                self.id, self.info.caller, self.info.called, self.info.caller_name, tuple(self.info.headers)
            ),
            self.leg,
            session,
            self.speech,
            step=self._stepped,
            hang_up=lambda reason: self._finish(CallOutcome(OutcomeClass.SUCCESS, "completed", reason)),
            transferred=lambda target, status: self._finish(
                CallOutcome(OutcomeClass.SUCCESS, "transferred", target, status)
            ),
            transfer_targets=self._config.transfer_targets,
            transcription=self._transcription,
        )
        ear = ModelEar(self, self._bridge, self.speech, self._port, self._observer)
        session.add_listener(ear.hear)

    async def _run_flow(self) -> None:
        assert self._port is not None
        call = FlowCall(
            self._port,
            no_input_s=self._config.no_input_s,
            transfer_timeout_s=self._config.transfer_timeout_s,
        )
        try:
            await self.flow(call)
        except CallEnded:
            return
        except VoiceAgentError as error:
            self._flow_failed(error)
        except Exception as error:
            self._flow_failed(error)
        else:
            self._finish(CallOutcome(OutcomeClass.SUCCESS, "completed", "the flow ended"))

    def _flow_failed(self, error: Exception) -> None:
        self.journal.write("flow.failed", error=f"{type(error).__name__}: {error}")
        self._finish(CallOutcome(OutcomeClass.OURS, "flow_failed", f"{type(error).__name__}: {error}"))

    async def _apologise(self, outcome: CallOutcome) -> CallOutcome:
        """Play the recorded apology to the caller, who must not sit in silence, and go."""
        self._become(CallState.CLOSING)
        self.journal.write("apology", reason=outcome.reason, detail=outcome.detail)
        self.leg.stop_playing()
        audio = apology(self.leg.audio_format)
        self.leg.play(audio, response_id=APOLOGY, item_id=APOLOGY)
        self.leg.play_end(response_id=APOLOGY)
        seconds = len(audio) / 8000
        try:
            async with asyncio.timeout(seconds + 2):
                await self._apology_played.wait()
        except TimeoutError:
            self.journal.write("apology.unheard")
        return outcome

    async def _close(self, outcome: CallOutcome) -> None:
        """End everything in order: last words, session, leg, record. Runs even when the call is cancelled."""
        polite = outcome.kind is OutcomeClass.SUCCESS and outcome.reason == "completed"
        if polite and self.session is not None:
            await self._last_words()
        self._become(CallState.CLOSING)
        if self.speech is not None:
            self.speech.closed = True
        if polite:
            await asyncio.sleep(self._config.hangup_grace_s)
        if self.session is not None:
            await self.session.close(outcome.reason)
        await self.leg.hang_up(outcome.reason)
        self.outcome = outcome
        self.ended_at = time.time()
        self.floor = "nobody"
        self.state = CallState.ENDED
        self.journal.write(
            "call.ended",
            outcome=outcome.kind.value,
            reason=outcome.reason,
            detail=outcome.detail,
            status=outcome.status,
            duration_s=round(self.seconds, 3),
            barge_ins=self.barge_ins,
            media=self.leg.figures(),
        )
        self.journal.close()
        self._observer.call_ended(self)

    async def _last_words(self) -> None:
        """Wait until nothing that was accepted is still unspoken, within reason."""
        try:
            async with asyncio.timeout(self._config.goodbye_limit_s):
                while self.session is not None and not self.leg_gone:
                    waiting = [entry for entry in self.ledger if entry.outcome is None]
                    handles = [self.session.handle(entry.request.id) for entry in waiting]
                    pending = [one.outcome() for one in handles if one is not None]
                    if not pending:
                        return
                    await asyncio.gather(*pending)
        except TimeoutError:
            self.journal.write("goodbye.cut")

    # ── deeds ───────────────────────────────────────────────────────────────────────────────────
    def trigger(
        self, instructions: str | None, metadata: Mapping[str, str], *, request_id: str, **options: Any
    ) -> LedgerEntry:
        """Put an operator's wish into the sequencer. Raises CallEnded or RequestRefused."""
        if self.speech is None or self.session is None or self.state is not CallState.TALKING:
            raise CallEnded(outcome=self.outcome.reason if self.outcome else self.state.value)
        composed = None if instructions is None else self.session.compose(instructions, "append")
        self.speech.submit(
            composed,
            line=instructions,
            origin=Origin.OPERATOR,
            metadata=metadata,
            request_id=request_id,
            **options,
        )
        entry = self.ledger.get(request_id)
        assert entry is not None
        return entry

    def withdraw(self, request_id: str) -> None:
        """Take a request back; its outcome becomes ``withdrawn`` unless it has ended."""
        if self.session is not None:
            self.session.withdraw(request_id)

    def end(self, reason: str, *, kind: OutcomeClass = OutcomeClass.SUCCESS) -> None:
        """Have the call end (an operator's hang-up, or the node's)."""
        self._finish(CallOutcome(kind, reason))

    async def stop_voice(self) -> None:
        """Stop the agent's voice."""
        if self.session is not None:
            await self.session.interrupt(by=InterruptedBy.OPERATOR)

    # ── the leg speaks (LegListener) ────────────────────────────────────────────────────────────
    @property
    def leg_gone(self) -> bool:
        """True once the leg has ended by itself."""
        return self._leg_end is not None

    _leg_end: CallOutcome | None = None

    def leg_audio(self, audio: bytes) -> None:
        if self._bridge is not None:
            self._bridge.caller_audio(audio)

    def leg_digit(self, digit: str) -> None:
        self.digits_pressed += 1
        self.journal.write("caller.digit", digit=digit)
        self._observer.digit_pressed(self, digit)
        if self._port is not None:
            self._port.caller_did(DigitPressed(digit))

    def leg_playback_started(self, response_id: str, item_id: str) -> None:
        self.set_floor("agent")
        if self._port is not None:
            self._port.playback(True)
        if self._bridge is not None and response_id != APOLOGY:
            self._bridge.playback_started(response_id, item_id)

    def leg_playback_ended(self, heard: Heard) -> None:
        self.agent_silent()
        if heard.response_id == APOLOGY:
            self._apology_played.set()
        elif self._bridge is not None:
            self._bridge.playback_ended(heard)

    def leg_held(self, held: bool) -> None:
        self.held = held
        self.journal.write("caller.held" if held else "caller.resumed")
        self._observer.call_changed(self)

    def leg_ended(self, end: LegEnd, status: int | None, reason: str) -> None:
        if self.state is CallState.ENDED:
            return
        outcome = outcome_of_leg(end, status, reason)
        self._leg_end = outcome
        self._apology_played.set()
        self.journal.write("leg.ended", end=end.value, status=status, reason=reason)
        self._finish(outcome)

    # ── inner workings ──────────────────────────────────────────────────────────────────────────
    def provider_lost(self, reason: str) -> None:
        """The realtime session went away under the call."""
        self._finish(CallOutcome(OutcomeClass.PROVIDER, "provider_lost", reason))

    def agent_silent(self) -> None:
        """The agent's voice has ended, or was stopped."""
        if self.floor == "agent":
            self.set_floor("nobody")
        if self._port is not None:
            self._port.playback(False)

    def set_floor(self, floor: str) -> None:
        """Say who speaks now: caller, agent, nobody."""
        if floor != self.floor:
            self.floor = floor
            self._observer.call_changed(self)

    def _finish(self, outcome: CallOutcome) -> None:
        if self._ending is not None and not self._ending.done():
            self._ending.set_result(outcome)

    def _become(self, state: CallState) -> None:
        if self.state is not state:
            self.state = state
            self.journal.write("call.state", state=state.value)
            self._observer.call_changed(self)

    def _stepped(self, name: str) -> None:
        self.step = name
        self.journal.write("flow.step", step=name)
        self._observer.call_changed(self)

    def _tool_ended(self, name: str, ok: bool, seconds: float) -> None:
        self.journal.write("tool.ended", tool=name, ok=ok, seconds=round(seconds, 3))
        self._observer.tool_ended(self, name, ok, seconds)

    def _response_changed(self, entry: LedgerEntry) -> None:
        self._observer.response_changed(self, entry)

    def _utterance_changed(self, line: Utterance) -> None:
        self._observer.utterance_changed(self, line)

    def request_settled(self, request_id: str, outcome: Outcome) -> None:
        """A response request has ended: fix the transcript to what was heard."""
        self.ledger.settled(request_id, outcome, asyncio.get_running_loop().time())
        if outcome.response_id is not None:
            self.transcript.heard(
                outcome.response_id, self.seconds, outcome.heard_text, outcome.text, cut=outcome.interrupted
            )

    def _start(self, name: str, work: Any) -> asyncio.Task[Any]:
        assert self._group is not None
        task = self._group.create_task(work, name=f"call {self.id}/{name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _stop_tasks(self) -> None:
        """Cancel what still runs; a flow's ``finally`` blocks get their time."""
        tasks = [task for task in self._tasks if not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            _, stuck = await asyncio.wait(tasks, timeout=self._config.flow_cleanup_s)
            for task in stuck:
                self.journal.write("task.stuck", task=task.get_name())
                task.cancel()
