"""One phone call: offered → answered → talking → closing → ended, with one outcome and one journal.

The call listens to its leg (``leg_ear``) and to its realtime session (``model_ear``); both report
synchronously on the loop's thread. Everything that waits (the flow, tools, the set-up) runs in the call's
own tasks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from voiceagent.call.apology import play_apology
from voiceagent.call.bridge import AudioBridge
from voiceagent.call.call_state import UNANSWERED, CallState
from voiceagent.call.call_tasks import CallTasks, to_the_end
from voiceagent.call.config import CallConfig
from voiceagent.call.dialling import Failure, Open, reach
from voiceagent.call.ending import Ending
from voiceagent.call.fallback import hand_to_people
from voiceagent.call.farewell import Farewell
from voiceagent.call.flow_fallback import FlowFallback
from voiceagent.call.flow_port import FlowPort, facts_of
from voiceagent.call.flow_run import run_flow
from voiceagent.call.holding import Holding
from voiceagent.call.inputs import chance_of, inputs_of, of_the_call, wall_of, write_operator
from voiceagent.call.keeping import Keeping
from voiceagent.call.last_words import last_words
from voiceagent.call.ledger import NOTED, Ledger, LedgerEntry
from voiceagent.call.leg import G711, Leg, LegInfo
from voiceagent.call.leg_ear import LegEar
from voiceagent.call.listening import Listening
from voiceagent.call.model_ear import ModelEar
from voiceagent.call.observer import CallObserver
from voiceagent.call.operating import Operating
from voiceagent.call.outcome import DRAINED, FLOW_FAILED, CallOutcome, OutcomeClass, leg_refused
from voiceagent.call.outside import Outside, directly
from voiceagent.call.placing import Placing
from voiceagent.call.queue_room import QueueRoom
from voiceagent.call.queue_wait import Queueing
from voiceagent.call.record import write_end, write_offer
from voiceagent.call.recorded_call import recorded, write_call
from voiceagent.call.recording import Recorder
from voiceagent.call.recovery import Recovery
from voiceagent.call.secrecy import Secrecy
from voiceagent.call.session_setup import transcription_of
from voiceagent.call.settling import Settling
from voiceagent.call.sounds import Sounds
from voiceagent.call.speech import CallSpeech
from voiceagent.call.succession import Succession
from voiceagent.call.take_over import TakeOver
from voiceagent.call.taps import Taps
from voiceagent.call.transcript import Transcript, Utterance
from voiceagent.call.transfers import Dial, Transfers
from voiceagent.call.triggers import check_room, submit_wish
from voiceagent.call.watch import Watch
from voiceagent.errors import CallEnded, MediaError, ProviderError, RequestRefused, SipError
from voiceagent.ids import Tokens
from voiceagent.ivr.flow import Flow
from voiceagent.ivr.ports import DigitPressed
from voiceagent.realtime.model_inputs import RealtimeModelSendInterrupt
from voiceagent.realtime.requests import InterruptedBy
from voiceagent.realtime.session import RealtimeSession
from voiceagent.records.journal import Journal
from voiceagent.records.recording import Recordings, Unkept

OpenSession = Callable[[Flow, G711, Journal], Awaitable[RealtimeSession]]
"""Connects a configured session for a flow; raises ProviderError."""

CLOSE_LIMIT_S = 5.0
"""How long leg and session may each take to be closed."""
AGAIN_S = 5
"""Retry-After of a 503: without one it counts as a 500, and nobody else is tried (RFC 3261 §21.5.4)."""

__all__ = ["CLOSE_LIMIT_S", "Call", "CallState", "OpenSession"]


class Call:
    """One phone call. Made on the event loop's thread; :meth:`run` is its whole life."""

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
        open_second: OpenSession | None = None,
        dial: Dial | None = None,
        metadata: Mapping[str, str] | None = None,
        outside: Outside = directly,
        origin: Mapping[str, Any] | None = None,
        recordings: Recordings | None = None,
        queues: QueueRoom | None = None,
    ) -> None:
        """``open_second`` opens a session with the provider that stands in for the first.

        ``dial`` places the calls to whom the caller is handed, where we call them ourselves. ``metadata`` is
        what came with the request to place this call; every response carries it. ``outside`` runs what is not
        of this call's doing. ``origin`` says how the flow was found; it goes into the journal's first entry.
        ``recordings`` keeps what the flow records; None: nobody does. ``queues``: those of the node.
        """
        self.inputs = inputs_of(journal)
        ways = recorded(self.inputs, leg, dial, outside, recordings or Unkept())
        self.leg, dial, outside, recordings = ways
        self.id = call_id
        self.flow = flow
        self.journal = journal
        self.metadata = dict(metadata or {})
        self.origin = dict(origin or {})
        self.placing = Placing(self) if leg.info.direction == "outbound" else None
        self.state = CallState.OFFERED if self.placing is None else CallState.DIALLING
        self.step = ""
        self.floor = "nobody"
        self.started_at = wall_of(journal)
        self.answered_at: float | None = None
        """Loop time of the answer."""
        self.first_words_s: float | None = None
        """From the answer to the first packet of the agent's voice."""
        self.ended_at: float | None = None
        self.outcome: CallOutcome | None = None
        self.info = leg.info
        """Who calls whom; the caller is another one when somebody took the caller's place."""
        self.barge_ins = 0
        self.digits_pressed = 0
        self.ledger = Ledger(self._response_changed)
        self.transcript = Transcript(self._line_changed)
        self._keeping = Keeping(self)
        self.session: RealtimeSession | None = None
        self.speech: CallSpeech | None = None
        self.recovery: Recovery | None = None
        self._open_first = self._opener(open_session)
        self._open_second = None if open_second is None else self._opener(open_second)
        self._config = config
        self._observer = observer
        self._tokens = tokens
        self._transcription = transcription_of(flow, transcription)
        self._outside = outside
        self._bridge: AudioBridge | None = None
        self._port: FlowPort | None = None
        self._loop = asyncio.get_running_loop()
        self.ending = Ending(self)
        self.began = self._loop.time()
        """When the call was made, by the loop's clock."""
        self._ended: float | None = None
        self._tasks = CallTasks(call_id, self._task_failed, None if self.inputs is None else self.inputs.own)
        self.closing = False
        """The end has begun: nothing that the caller does counts any more."""
        self.secrecy = Secrecy(self)
        self.holding = Holding(self, observer)
        self.sounds = Sounds(self)
        self.taps = Taps(self)
        self.recorder = Recorder(
            self,
            recordings,
            observer,
            config.recording_max_s,
            announcement=config.recording_announce,
            tone=config.recording_tone,
        )
        self.listening = Listening(self, observer)
        self.take_over = TakeOver(self)
        self.ear = LegEar(self)
        self.queueing = Queueing(self, queues, observer)
        self.transfers = Transfers(self, config.transfer_targets, dial, observer)
        timeout_s = config.transfer_timeout_s
        self.operating = Operating(self, config.transfer_targets, self._tasks.start, timeout_s)
        self.succession = Succession(self, config.transfer_targets, dial, self._tasks.start, timeout_s)
        self._settling = Settling(self)
        self.watch = Watch(
            self,
            observer,
            config.vigil,
            transcribes=transcription is not None,
            prompts_dir=config.prompts_dir,
        )

    @property
    def held(self) -> bool:
        """True while somebody is on hold, whoever holds whom."""
        return self.holding.on

    @property
    def away(self) -> bool:
        """True while nobody can hear the agent: on hold, or because a human speaks in its place."""
        return self.holding.on or self.take_over.on

    @property
    def talking(self) -> bool:
        """True from the answer until the call is being closed, but not while it is handed to somebody."""
        return self.state is CallState.TALKING and not self.transfers.active

    @property
    def agent_audible(self) -> bool:
        """True while the agent's voice, or a line of our own, is heard."""
        return self.ear.audible

    @property
    def secret_open(self) -> bool:
        """True while what the caller types or says must not be heard, recorded or written down."""
        return self.secrecy.open

    @property
    def ended(self) -> bool:
        """True once the call is over and its record written."""
        return self.state is CallState.ENDED

    @property
    def leg_gone(self) -> bool:
        """True once the leg has ended, whoever ended it."""
        return self.ear.end is not None

    @property
    def seconds(self) -> float:
        """Seconds (loop time) since the call was offered; stands still once it has ended."""
        return (self._loop.time() if self._ended is None else self._ended) - self.began

    def wall(self, loop_time: float) -> float:
        """Return the Unix time of a moment of the loop's clock."""
        return self.started_at + loop_time - self.began

    # ── life ────────────────────────────────────────────────────────────────────────────────────
    async def run(self) -> CallOutcome:
        """Live the call from offer to record; returns its outcome and leaves nothing behind."""
        write_call(self, self._config, self._transcription, second=self._open_second is not None)
        self.leg.listen(self.ear)
        write_offer(self)
        self._observer.call_changed(self)
        outcome = CallOutcome(OutcomeClass.UNKNOWN, "cancelled")
        try:
            outcome = await self._live()
            if outcome.polite:
                await self._last_words()
        except asyncio.CancelledError:
            write_operator(self.journal, "cancelled")
            outcome = CallOutcome(OutcomeClass.OURS, "shut_down", "the service was stopped")
            raise
        except Exception as error:
            outcome = CallOutcome(OutcomeClass.OURS, "internal", self.secrecy.about(error))
            raise
        finally:
            await to_the_end(self._tasks.start_last("close", self._close(outcome)))
        return outcome

    async def _live(self) -> CallOutcome:
        try:
            if self.placing is None:
                await self.leg.prepare()
            elif not await self.placing.prepared(self.ending.known):
                return self.ending.known.result()
        except (MediaError, SipError, ProviderError) as error:
            status = error.status if isinstance(error, SipError) else 503
            reason = "Not Acceptable Here" if status == 488 else "Service Unavailable"
            await self.leg.reject(status, reason, retry_after_s=AGAIN_S if status == 503 else None)
            return leg_refused(error, status)
        if self.placing is not None:
            self.placing.dialled()
        refusal = await self._connect()
        if self.ending.known.done():
            refusal = self.ending.known.result()
            if refusal.kind is not OutcomeClass.PROVIDER or self.leg_gone:
                return refusal
        if self.placing is not None:
            unanswered = await self.placing.settled(self.ending.known, refusal)
            if unanswered is not None:
                return unanswered
        try:
            await self.leg.answer()
        except (MediaError, SipError) as error:
            return leg_refused(error)
        if self.answered_at is None:
            self.note_answer()
        if refusal is not None:
            return await self._apologise(refusal)
        self._become(CallState.TALKING)
        if self.leg.capabilities.owns_playout:
            self.watch.start()  # elsewhere neither silence nor a line of ours passes us
        assert self._port is not None
        flow = run_flow(self, self._port, self._config, self.ending.finish, self._observer)
        self._tasks.start("flow", flow)
        try:
            async with asyncio.timeout(self._config.max_duration_s):
                outcome = await asyncio.shield(self.ending.known)
        except TimeoutError:
            outcome = CallOutcome(OutcomeClass.OURS, "max_duration")
        if outcome.kind is OutcomeClass.PROVIDER:
            return await self._apologise(outcome)
        if outcome.reason == FLOW_FAILED:
            fallback = FlowFallback(self, self._port, self._config, self.ending.hurry, self._tasks.start)
            return await fallback.play(outcome)
        if outcome.reason == DRAINED:
            farewell = Farewell(self, self._port, self._config, self.ending.hurry, self._tasks.start)
            return await farewell.play(outcome)
        return outcome

    async def _connect(self) -> CallOutcome | None:
        """Open the realtime session; return why not, or None."""
        limit_s, chance = self._config.connect_timeout_s, chance_of(self.journal, "reach")
        work = reach(self._open_first, self._open_second, self._tasks.start, limit_s, chance)
        connecting = self._tasks.start("connect", work)
        await asyncio.wait({connecting, self.ending.known}, return_when=asyncio.FIRST_COMPLETED)
        if not connecting.done():
            connecting.cancel()
            return self.ending.known.result()
        opened = connecting.result()
        if isinstance(opened, Failure):
            kind = OutcomeClass.OURS if opened.ours else OutcomeClass.PROVIDER
            return CallOutcome(kind, opened.code, opened.message)
        self._attach(opened)
        return None

    def _opener(self, open_session: OpenSession) -> Open:
        return lambda: open_session(self.flow, self.leg.audio_format, self.journal)

    def _attach(self, session: RealtimeSession) -> None:
        self.session = session
        survival = self._config.survival
        if survival.enabled and self.leg.capabilities.owns_playout and not session.closed:
            self.recovery = Recovery(
                self, session, self._open_first, self._open_second, survival, self._tasks.start
            )
        self._bridge = AudioBridge(self.leg, session, self._silenced, self.sounds.ended)
        self.speech = CallSpeech(
            self.id,
            session,
            self.ledger,
            self._tokens,
            settled=self._settling.settled,
            tool_ended=self._tool_ended,
            run=self._tasks.start,
            standing=self.metadata,
            outside=self._outside,
            write=self.journal.write,
            mask=self.secrecy.masked,
            quiet=lambda: self.talking and self.floor == "nobody" and not self.away,
        )
        self._port = FlowPort(
            facts_of(self.id, self.info, self.metadata),
            self,
            session,
            self.speech,
            step=self._stepped,
            hang_up=lambda reason: self.ending.finish(CallOutcome(OutcomeClass.SUCCESS, "completed", reason)),
            transcription=self._transcription,
            greeting=None if self.placing is None else self.placing.greeting,
            outside=self._outside,
        )
        self.ear.attach(self._bridge, self._port)
        ear = ModelEar(self, self._bridge, self.speech, self._port, self._observer)
        session.add_listener(ear.hear)
        self.watch.new_session()
        if self.away:
            self.holding.apply()
        if session.closed:
            self.ending.provider_lost("the session did not outlive its set-up")

    def _task_failed(self, name: str, error: BaseException) -> None:
        about = self.secrecy.about(error)
        self.journal.write("task.failed", task=name, error=about)
        self.ending.finish(CallOutcome(OutcomeClass.OURS, "internal", about))

    async def _apologise(self, outcome: CallOutcome) -> CallOutcome:
        """Play the recorded apology, and hand the caller to people, if any."""
        await play_apology(self, outcome)
        if self.leg_gone:
            return outcome
        target, limit_s = self._config.survival.transfer_to, self._config.transfer_timeout_s
        return await hand_to_people(self.leg, self.journal, outcome, target, limit_s)

    def begin_to_close(self) -> None:
        """The flow has nobody to speak with; its ``finally`` runs meanwhile."""
        self._become(CallState.CLOSING)
        self._tasks.cancel()

    async def _last_words(self) -> None:
        """Wait until nothing that was accepted is still unspoken, within reason."""
        assert self.speech is not None
        limit_s = self._config.goodbye_limit_s
        if not await last_words(self.speech, self.ending.hurry, self._tasks.start, limit_s):
            self.journal.write("goodbye.cut")

    async def _close(self, outcome: CallOutcome) -> None:
        """End everything in order: leg, session, flow, record. Runs even when the call is cancelled."""
        self.closing = True
        self.ending.hush()
        self._become(CallState.CLOSING)
        self._tasks.cancel()
        await self._guarded("leg", self._leave(outcome))
        self.recorder.stop("call_ended")
        self.take_over.close()
        self.listening.close()
        if self.session is not None:
            await self._guarded("session", self.session.close(outcome.reason))
        for stuck in await self._tasks.stop(self._config.flow_cleanup_s):
            self.journal.write("task.stuck", task=stuck)
        self._settling.all_lost(outcome.reason)
        await self._guarded("recording", self.recorder.finished())
        self.outcome = outcome
        self.ended_at = time.time()
        self._ended = self._loop.time()
        self.floor = "nobody"
        self.state = CallState.ENDED
        self.watch.close()
        self.secrecy.close()
        self._keeping.end()
        write_end(self, outcome)
        self.journal.close()
        # An ended call is kept for a while to be looked at: not its socket, model and flow.
        if self.speech is not None:
            self.speech.working.close()
        if self.recovery is not None:
            self.recovery.close()
        self.session = self.speech = self._port = self._bridge = self.recovery = None
        self.flow = self.flow.without_code()
        self.ear.detach()
        self._observer.call_ended(self)

    async def _leave(self, outcome: CallOutcome) -> None:
        if outcome.polite and not self.ending.hurry.done():
            await asyncio.wait({self.ending.hurry}, timeout=self._config.hangup_grace_s)
        self.stop_leg()
        answered = self.answered_at is not None
        if answered or self.leg_gone or outcome.kind in (OutcomeClass.SUCCESS, OutcomeClass.CALLER):
            await self.leg.hang_up(outcome.reason)
        else:
            await self.leg.reject(503, "Service Unavailable", retry_after_s=AGAIN_S)

    async def _guarded(self, part: str, work: Coroutine[Any, Any, None]) -> None:
        """Whatever fails while closing, the rest is closed and the record is written."""
        try:
            async with asyncio.timeout(CLOSE_LIMIT_S):
                await work
        except Exception as error:
            self.journal.write("close.failed", part=part, error=self.secrecy.about(error))

    # ── deeds ───────────────────────────────────────────────────────────────────────────────────
    def trigger(
        self, instructions: str | None, metadata: Mapping[str, str], *, request_id: str, **options: Any
    ) -> LedgerEntry:
        """Put an operator's wish into the sequencer. Raises CallEnded or RequestRefused."""
        wish = {"instructions": instructions, "metadata": metadata, "id": request_id, "options": options}
        write_operator(self.journal, "trigger", **wish)
        if self.ending.word in UNANSWERED:
            raise RequestRefused("call", "is not answered yet", code="not_answered")
        speech, session = self.speech, self.session
        if speech is None or session is None or speech.closed or self.state is not CallState.TALKING:
            raise CallEnded(outcome=self.ending.word)
        check_room(self.ledger, self._config.max_waiting, options.get("coalesce"))
        with of_the_call(self.journal):
            return submit_wish(session, speech, self.ledger, instructions, metadata, request_id, **options)

    def withdraw(self, request_id: str) -> None:
        """Take a request back; its outcome becomes ``withdrawn`` unless it has ended."""
        write_operator(self.journal, "withdraw", id=request_id)
        if self.session is not None:
            with of_the_call(self.journal):
                self.session.withdraw(request_id)

    def end(self, reason: str, *, kind: OutcomeClass = OutcomeClass.SUCCESS) -> None:
        """Have the call end (an operator's hang-up, or the node's)."""
        write_operator(self.journal, "end", reason=reason, kind=kind.value)
        with of_the_call(self.journal):
            self.ending.finish(CallOutcome(kind, reason))

    def speak_to(self, leg: Leg | None) -> None:
        """Have the model speak to somebody else while the caller is on hold; None: to the caller again."""
        self.holding.consulting = leg is not None
        if self._bridge is not None:
            self.stop_leg()
            self._bridge.leg = leg or self.leg
        self.holding.apply()

    def use_leg(self, leg: Leg, info: LegInfo) -> None:
        """Go on with ``leg``, which stands; see :mod:`voiceagent.call.succession`."""
        self.taps.follow(self.leg, leg)
        self.take_over.follow(self.leg, leg)
        leg.play_music(self.holding.in_queue)
        self.leg, self.info = leg, info
        if self._bridge is not None:
            self._bridge.leg = leg
        leg.listen(self.ear)

    def mute_agent(self, on: bool) -> None:
        """Let nobody hear what still comes of the agent's voice, or let it be heard again."""
        if self._bridge is not None:
            self._bridge.muted = on

    def interrupt(self) -> None:
        """Stop the voice, and have the record say how much of it was heard."""
        if self.session is not None and not self.session.closed:
            self.session.model.send(RealtimeModelSendInterrupt(self._tokens(), InterruptedBy.CALLER))
        self.stop_leg()

    async def stop_voice(self) -> None:
        """Stop the agent's voice."""
        self.sounds.stop()
        if self.session is not None:
            await self.session.interrupt(by=InterruptedBy.OPERATOR)

    # ── the leg speaks ──────────────────────────────────────────────────────────────────────────
    def digit_pressed(self, digit: str) -> None:
        """The caller pressed a key, and the sequencer knows (or will be told)."""
        self.digits_pressed += 1
        shown = self.secrecy.pressed(digit)
        self.journal.write("caller.digit", digit=shown)
        self._observer.digit_pressed(self, shown)
        if self._port is not None:
            self._port.caller_did(DigitPressed(digit, secret=self.secrecy.keys))

    def leg_has_ended(self, outcome: CallOutcome) -> None:
        """Nobody listens any more."""
        self.interrupt()
        self.ending.finish(outcome)

    # ── inner workings ──────────────────────────────────────────────────────────────────────────
    def rings(self) -> None:
        """The callee's phone rings."""
        self._become(CallState.RINGING)

    def note_answer(self) -> None:
        """The call stands from now on, whoever has answered it."""
        self.answered_at = self._loop.time()
        answered = self.answered_at - self.began
        at = round(self.wall(self.answered_at), 3)
        self.journal.write("call.answered", setup_s=round(answered, 3), answered_at=at)

    def note_first_words(self) -> None:
        """The agent is heard; only the first time counts."""
        if self.first_words_s is None and self.answered_at is not None:
            self.first_words_s = self._loop.time() - self.answered_at

    def _silenced(self) -> None:
        self.watch.flushed()
        self.agent_silent()

    def agent_silent(self) -> None:
        """The agent's voice has ended, or was stopped."""
        self.ear.silent()
        if self.floor == "agent":
            self.set_floor("nobody")

    def caller_silent(self) -> None:
        """The caller's turn has ended; an agent that was not to be interrupted has the floor again."""
        self.set_floor("agent" if self.ear.audible else "nobody")

    def set_floor(self, floor: str) -> None:
        """Say who speaks now: caller, agent, nobody."""
        if floor != self.floor:
            self.floor = floor
            self._observer.call_changed(self)

    def stop_leg(self) -> None:
        """Silence; what was heard until now goes into the record of what was being said."""
        stopped = list(self.leg.stop_playing())
        if self._bridge is not None and self._bridge.leg is not self.leg:
            stopped += self._bridge.leg.stop_playing()
        self.watch.flushed()
        for heard in stopped:
            self.ear.leg_playback_ended(heard)

    def _become(self, state: CallState) -> None:
        if self.state is not state:
            self.state = state
            self.journal.write("call.state", state=state.value)
            self._observer.call_changed(self)

    def _stepped(self, name: str, place: str) -> None:
        self.step = name
        self.journal.write("flow.step", step=name, **({"place": place} if place else {}))
        self._observer.call_changed(self)

    def _tool_ended(self, name: str, ok: bool, seconds: float) -> None:
        self.journal.write("tool.ended", tool=name, ok=ok, seconds=round(seconds, 3))
        self.watch.tool_ended()
        self._observer.tool_ended(self, name, ok, seconds)

    def _line_changed(self, line: Utterance) -> None:
        self._keeping.line(line)
        self._observer.utterance_changed(self, line)

    def _response_changed(self, entry: LedgerEntry) -> None:
        self._keeping.request(entry)
        if entry.state != NOTED:
            self.watch.request_changed(entry)
        self._observer.response_changed(self, entry)
