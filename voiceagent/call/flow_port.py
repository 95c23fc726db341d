"""The running call as its flow sees it: fulfils :class:`voiceagent.ivr.ports.CallPort`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from voiceagent.call.flow_failure import failure_of
from voiceagent.call.greeting import Greeting
from voiceagent.call.heard_whole import heard_whole
from voiceagent.call.leg import LegInfo
from voiceagent.call.outside import Outside, directly
from voiceagent.call.recording import Recorder
from voiceagent.call.sounds import PER_MS, words_between
from voiceagent.call.speech import CallSpeech
from voiceagent.errors import CallEnded, RequestRefused
from voiceagent.flags import Flag
from voiceagent.ivr.caller_text import CallerText
from voiceagent.ivr.ports import Answering, CallerInput, CallFacts, Line, QueueOutcome, TransferOutcome
from voiceagent.realtime.requests import InterruptedBy, Outcome
from voiceagent.realtime.session import RealtimeSession

if TYPE_CHECKING:
    from voiceagent.call.call import Call

GOODBYE_BEGIN_S = 30.0
"""How long the session may take to begin a goodbye: longer than it takes to find that it is gone."""
GOODBYE_LIMIT_S = 120.0
"""How long a goodbye may wait for a caller who speaks, or is on hold."""
INPUT_LIMIT = 256
"""Unread inputs kept; a flow that never listens loses the oldest."""


def facts_of(call_id: str, info: LegInfo, metadata: Mapping[str, str]) -> CallFacts:
    """Return who calls whom, as flows are told."""
    return CallFacts(
        call_id=call_id,
        caller=info.caller,
        called=info.called,
        caller_name=info.caller_name,
        headers=tuple(info.headers),
        direction=info.direction,
        dialled=info.dialled,
        metadata=dict(metadata),
        claims=info.claims,
    )


class FlowPort:
    """What one flow may do with its call."""

    def __init__(
        self,
        facts: CallFacts,
        call: Call,
        session: RealtimeSession,
        speech: CallSpeech,
        *,
        step: Callable[[str, str], None],
        hang_up: Callable[[str], None],
        transcription: Mapping[str, Any] | None,
        greeting: Greeting | None = None,
        outside: Outside = directly,
    ) -> None:
        self._facts = facts
        self._call = call
        self._session = session
        self._speech = speech
        self._step = step
        self._hang_up = hang_up
        self._transcription = transcription
        self._greeting = greeting
        self.outside = outside
        self._inputs: list[tuple[float, CallerInput]] = []
        self._arrived = Flag()
        self._came = Flag()
        """Set at the next input, by whoever has it then; another one takes its place."""
        self._hint: str | None = None
        self._silent_since: float | None = 0.0
        self._asking = 0
        self._last_key = ""
        self._over = False
        self._spared = ("", 0.0)
        """A key that ends nothing once more, and until when."""
        self._listeners = 0

    @property
    def listening(self) -> bool:
        """True while the flow waits for what the caller does."""
        return self._listeners > 0

    @property
    def facts(self) -> CallFacts:
        return self._facts

    def caller_did(self, item: CallerInput) -> None:
        """Queue an input of the caller for whoever asks next. What is meant for a human is none."""
        if self._call.take_over.on:
            return
        self._inputs.append((asyncio.get_running_loop().time(), item))
        del self._inputs[:-INPUT_LIMIT]
        self._arrived.set()
        self._came.set()
        self._came = Flag()

    def hush_for(self, digit: str) -> None:
        """The caller pressed a key: it ends what may be dropped, unless a question is to judge it first."""
        key, until = self._spared
        if digit == key and asyncio.get_running_loop().time() <= until:
            self._spared = ("", 0.0)
            return
        self._last_key = digit = self._call.secrecy.shown(digit)
        if not self._asking:
            self._session.digit(digit)

    def close(self) -> None:
        """The flow is over: what it has left running says nothing more."""
        self._over = True

    async def _check_call(self, *, wait: bool = True) -> None:
        """Raise CallEnded when nothing reaches the caller any more, nor anybody else on the caller's behalf.

        It gives way first: a flow that tries again and again must still be cancellable, and starve nobody.
        While a human has the call it waits, unless it is not to ``wait``.
        """
        if wait and self._call.take_over.on:
            await self._call.take_over.until_back()
        if self._over or self._speech.closed:
            await asyncio.sleep(0)
            raise CallEnded("the flow has ended") if self._over else CallEnded

    async def speak(self, line: Line, audible: Callable[[], None] | None = None) -> Outcome:
        await self._check_call(wait=False)  # the sequencer keeps it
        self._asking += line.question
        try:
            return await self._speech.speak(line, audible)
        finally:
            self._asking -= line.question

    async def play(
        self, path: Path, *, text: str, interruptible: bool, from_ms: int = 0
    ) -> tuple[int, int, InterruptedBy | None]:
        await self._check_call()
        call = self._call
        if not call.leg.capabilities.owns_playout:
            raise RequestRefused("play", "cannot be done on this kind of call", code="not_supported")
        audio = await call.sounds.read(path, self.outside)
        begin = min(from_ms * PER_MS, len(audio))
        heard_ms, by = await call.sounds.play(audio[begin:], interruptible=interruptible)
        whole_ms, begun_ms = len(audio) // PER_MS, begin // PER_MS
        words = words_between(text, begun_ms, begun_ms + heard_ms, whole_ms)
        call.journal.write(
            "sound.played", file=path.name, from_ms=begun_ms, heard_ms=heard_ms, by=by, heard_text=words
        )
        rest = words_between(text, begun_ms, whole_ms, whole_ms)
        call.transcript.heard(call.sounds.last_id, call.seconds, words, rest, cut=by is not None)
        return heard_ms, whole_ms, by

    @property
    def can_play(self) -> bool:
        return self._call.leg.capabilities.owns_playout

    def playback(self, playing: bool) -> None:
        """The agent's voice is heard, or has stopped."""
        self._silent_since = None if playing else asyncio.get_running_loop().time()

    def silent_since(self) -> float | None:
        # Who is on hold hears no question; what was asked before is answered after.
        if self._silent_since is None or self._call.away:
            return None
        return max(self._silent_since, self._call.holding.back_at)

    def drop_prompt(self) -> None:
        self._session.digit(self._last_key)

    def spare_key(self, digit: str, within_s: float) -> None:
        self._spared = (digit, asyncio.get_running_loop().time() + within_s)

    async def next_input(self, timeout_s: float | None) -> CallerInput | None:
        await self._check_call()
        self._listeners += 1
        try:
            async with asyncio.timeout(timeout_s):
                while not self._inputs:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            return None
        finally:
            self._listeners -= 1
        return self._inputs.pop(0)[1]

    def unread(self, item: CallerInput) -> None:
        self._inputs.insert(0, (asyncio.get_running_loop().time(), item))
        del self._inputs[INPUT_LIMIT:]
        self._arrived.set()

    @property
    def transcribes(self) -> bool:
        return self._transcription is not None

    def unread_inputs(self) -> Sequence[tuple[float, CallerInput]]:
        return tuple(self._inputs)

    async def input_came(self, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                await self._came.wait()
        except TimeoutError:
            return False
        return True

    def drop_input(self, items: Iterable[CallerInput]) -> None:
        gone = {id(item) for item in items}
        kept = [entry for entry in self._inputs if id(entry[1]) not in gone]
        self._inputs.clear()
        self._inputs.extend(kept)

    def forget_input(self, older_than_s: float = 0.0) -> None:
        oldest = asyncio.get_running_loop().time() - older_than_s
        kept = [entry for entry in self._inputs if older_than_s and entry[0] >= oldest]
        self._inputs.clear()
        self._inputs.extend(kept)

    def secret(self) -> AbstractContextManager[None]:
        return self._call.secrecy.block()

    async def expect(self, hint: str | None) -> None:
        if hint == self._hint or self._transcription is None:
            return
        self._hint = hint
        # Not awaited: the wire keeps order, and the caller should not wait a round trip for the prompt.
        self._session.post_update(transcription={**self._transcription, "prompt": hint or ""})

    async def note(self, text: str) -> None:
        self._session.note(text)

    def answering(self) -> Answering:
        return Answering() if self._greeting is None else self._greeting.hint()

    async def answering_changed(self, timeout_s: float) -> bool:
        await self._check_call()
        return self._greeting is not None and await self._greeting.changed(timeout_s)

    @asynccontextmanager
    async def working(self, text: str, after_s: float) -> AsyncGenerator[None]:
        self._call.watch.working(True)
        try:
            async with self._speech.working.while_working(text, after_s):
                yield
        finally:
            self._call.watch.working(False)

    def note_fact(self, kind: str, error: BaseException | None = None, **facts: Any) -> None:
        failure = {} if error is None else asdict(failure_of(error, self._call.secrecy.masked))
        self._call.journal.write(kind, **facts, **{key: told for key, told in failure.items() if told != ()})

    def step(self, name: str, place: str = "") -> None:
        self._step(name, place)

    async def goodbye(self, line: Line) -> bool:
        await self._check_call()
        call = self._call
        if call.holding.by_us:
            await call.holding.resume()
        loop = asyncio.get_running_loop()
        heard = await heard_whole(
            call,
            lambda audible: self.speak(line, audible),
            begin_limit_s=GOODBYE_BEGIN_S,
            limit_s=GOODBYE_LIMIT_S,
            run=lambda name, work: loop.create_task(work, name=f"ivr/{name}"),
        )
        if not heard:
            call.journal.write("goodbye.cut")
        return heard

    async def hang_up(self, reason: str) -> NoReturn:
        await self._check_call()
        self._hang_up(reason)
        while True:
            await Flag().wait()  # the call's end cancels the flow here

    async def transfer(
        self, target: str, timeout_s: float, *, attended: bool = False, whisper: Line | None = None
    ) -> TransferOutcome:
        await self._check_call()
        transfers = self._call.transfers
        if attended:
            speak = None if whisper is None else lambda: self.speak(whisper)
            result = await transfers.attended(target, timeout_s, speak)
        else:
            result = await transfers.blind(target, timeout_s)
        if result.accepted:
            await Flag().wait()  # the call's end cancels the flow here
        # Reasons are what somebody's SIP says: with a blind transfer, the caller's own.
        steps = tuple((status, CallerText(reason)) for status, reason in result.steps)
        return TransferOutcome(result.accepted, result.status, CallerText(result.reason), steps)

    async def queue(
        self,
        name: str,
        say: Callable[[int], Line] | None,
        *,
        timeout_s: float | None,
        whisper: Line | None,
        leave: str,
    ) -> QueueOutcome:
        await self._check_call()
        queueing = self._call.queueing
        return await queueing.wait(self, name, say, timeout_s=timeout_s, whisper=whisper, leave=leave)

    @property
    def recorder(self) -> Recorder:
        return self._call.recorder

    @property
    def held(self) -> bool:
        return self._call.holding.by_caller

    async def hold(self) -> bool:
        await self._check_call()
        return self._call.leg.capabilities.can_hold and await self._call.holding.hold()

    async def resume(self) -> bool:
        return await self._call.holding.resume()

    async def until_back(self) -> None:
        await self._check_call()
        await self._call.holding.until_back()

    async def send_digits(self, digits: str) -> None:
        await self._check_call()
        if not self._call.leg.capabilities.can_send_digits:
            raise RequestRefused("digits", "cannot be sent on this kind of call", code="not_supported")
        self._call.journal.write("digits.sent", count=len(digits))
        await self._call.leg.send_digits(digits)
