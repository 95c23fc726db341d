"""The verbs of a flow. Each speaking verb returns how it ended, with what the caller really heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from voiceagent.claims import FirstValues
from voiceagent.errors import RequestRefused
from voiceagent.ivr.answers import Choice, Digits, DigitString, Option, YesNo
from voiceagent.ivr.gather import Answer, AnswerKind, Interpreter, ask
from voiceagent.ivr.ports import Answering, CallPort, Line, Tool, TransferOutcome
from voiceagent.realtime.requests import BargePolicy, Outcome, When

SORRY = "Sorry, I did not understand that."
STILL_THERE = "Sorry, I did not hear anything."
TYPE_AHEAD_S = 5.0
"""What the caller did so shortly before a question may be its answer."""


class _Question(Interpreter, Protocol):
    def hint(self) -> str: ...

    def keys_line(self) -> str: ...


class Call:
    """One running call, as a flow sees it. Hang-up cancels the flow; its ``finally`` blocks run."""

    def __init__(self, port: CallPort, *, no_input_s: float = 6.0, transfer_timeout_s: float = 20.0) -> None:
        self._port = port
        self._no_input_s = no_input_s
        self._transfer_timeout_s = transfer_timeout_s
        self._stray = ""
        """The terminator that may still come after a full string of digits."""
        facts = port.facts
        self.id = facts.call_id
        self.caller = facts.caller
        """Who calls, as the caller's side claims: data, never proof."""
        self.called = facts.called
        self.caller_name = facts.caller_name
        self.headers = FirstValues(facts.headers)
        """Headers of the call, as the caller's side sent them: data, like everything the caller says."""
        self.claims = facts.claims
        """What they say about the caller: asserted identity, diversions, attestation."""
        self.direction = facts.direction
        """``inbound`` or ``outbound``."""
        self.dialled = facts.dialled
        """Outbound: the URI that was called."""
        self.metadata = facts.metadata
        """Outbound: what came with the request to place the call."""

    # ── speaking ────────────────────────────────────────────────────────────────────────────────
    async def respond(
        self,
        guidance: str,
        *,
        metadata: Mapping[str, str] | None = None,
        interruptible: bool = True,
        replace: bool = False,
        tools: Sequence[Tool] = (),
        after_playback: bool = False,
    ) -> Outcome:
        """Have the model speak as ``guidance`` says, and return when that was heard, cut, or failed.

        The guidance is added to the flow's standing prompt; ``replace`` puts it in the prompt's place for
        this one response. ``tools`` may be called by the model meanwhile; their results are spoken, too.
        """
        self._port.step("respond")
        return await self._port.speak(
            self._line(guidance, metadata, interruptible, replace, tools, after_playback=after_playback)
        )

    async def say(
        self, text: str, *, metadata: Mapping[str, str] | None = None, interruptible: bool = True
    ) -> Outcome:
        """Have the model say ``text`` word for word."""
        self._port.step("say")
        return await self._port.speak(self._line(verbatim(text), metadata, interruptible, False, ()))

    async def note(self, text: str) -> None:
        """Add context for the model; nothing is spoken."""
        await self._port.note(text)

    # ── who answered (calls that we place) ──────────────────────────────────────────────────────
    @property
    def answering(self) -> Answering:
        """Who has answered, as far as is known: a hint. Inbound calls know nothing."""
        return self._port.answering()

    async def answered_by(self, timeout_s: float = 6.0) -> Answering:
        """Wait until the greeting says whether a person or a machine has answered, or for ``timeout_s``."""
        return await self._listen(timeout_s, lambda hint: hint.decided)

    async def until_beep(self, timeout_s: float = 30.0) -> Answering:
        """Wait for a beep that comes after now, or for ``timeout_s``."""
        last = self.answering.beep_at_ms
        return await self._listen(timeout_s, lambda hint: hint.beep_at_ms != last)

    async def _listen(self, timeout_s: float, enough: Callable[[Answering], bool]) -> Answering:
        end = asyncio.get_running_loop().time() + timeout_s
        while not enough(self.answering):
            left = end - asyncio.get_running_loop().time()
            if left <= 0 or not await self._port.answering_changed(left):
                break
        return self.answering

    # ── asking ──────────────────────────────────────────────────────────────────────────────────
    async def choose(
        self,
        prompt: str,
        *,
        attempts: int = 3,
        no_input_s: float | None = None,
        no_match: str = SORRY,
        no_input: str = STILL_THERE,
        interruptible: bool = True,
        metadata: Mapping[str, str] | None = None,
        **options: str | Option,
    ) -> str | None:
        """Ask, and return the name of the option that the caller said or pressed; None after all attempts.

        ``options`` map a name (underscores stand for spaces) to its key, or to :func:`option` with more
        phrases. ``no_match`` and ``no_input`` are spoken before the prompt is repeated; the last attempt
        names the keys.
        """
        question = Choice(options)
        answer = await self._ask(
            "choose", question, prompt, attempts, no_input_s, no_match, no_input, interruptible, metadata
        )
        return answer.value if answer is not None else None

    async def confirm(
        self,
        prompt: str,
        *,
        attempts: int = 2,
        no_input_s: float | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> bool | None:
        """Ask a yes-or-no question; None when neither came after all attempts."""
        answer = await self._ask(
            "confirm", YesNo(), prompt, attempts, no_input_s, SORRY, STILL_THERE, True, metadata
        )
        return answer.value == "yes" if answer is not None else None

    async def collect(
        self,
        prompt: str,
        *,
        digits: Digits,
        attempts: int = 3,
        no_input_s: float | None = None,
        no_match: str = SORRY,
        no_input: str = STILL_THERE,
        confirm: bool = False,
        metadata: Mapping[str, str] | None = None,
    ) -> str | None:
        """Ask for digits, typed or spoken, and return them; None after all attempts.

        With ``confirm``, digits that were *spoken* are read back first (typed ones are certain).
        """
        for _ in range(attempts):
            answer = await self._ask(
                "collect",
                DigitString(digits),
                prompt,
                attempts,
                no_input_s,
                no_match,
                no_input,
                True,
                metadata,
            )
            if answer is None:
                return None
            if not confirm or answer.by == "digits":
                return answer.value
            if await self.confirm(f'Ask: "I heard {" ".join(answer.value)}. Is that right?"'):
                return answer.value
        return None

    async def _ask(
        self,
        verb: str,
        question: _Question,
        prompt: str,
        attempts: int,
        no_input_s: float | None,
        no_match: str,
        no_input: str,
        interruptible: bool,
        metadata: Mapping[str, str] | None,
    ) -> Answer | None:
        self._port.step(verb)
        self._port.forget_input(older_than_s=TYPE_AHEAD_S)
        await self._port.expect(question.hint())
        wait_s = self._no_input_s if no_input_s is None else no_input_s
        guidance = prompt
        try:
            for attempt in range(1, attempts + 1):
                if isinstance(question, DigitString):
                    question.restart()
                line = self._line(guidance, metadata, interruptible, False, (), question=True)
                stray, self._stray = self._stray, ""
                answer = await ask(self._port, line, question, no_input_s=wait_s, stray=stray)
                if answer.kind is AnswerKind.MATCH:
                    if isinstance(question, DigitString):
                        self._stray = question.terminator_due(answer)
                    return answer
                excuse = no_input if answer.kind is AnswerKind.NO_INPUT else no_match
                keys = question.keys_line() if attempt == attempts - 1 else ""
                guidance = repaired(excuse, prompt, keys)
            return None
        finally:
            self._port.forget_input()

    # ── leaving ─────────────────────────────────────────────────────────────────────────────────
    async def hangup(self, goodbye: str | None = None) -> None:
        """Say ``goodbye`` word for word if given, wait until it was heard, and end the call."""
        self._port.step("hangup")
        if goodbye:
            await self._port.speak(self._line(verbatim(goodbye), None, False, False, ()))
        await self._port.hang_up("flow")

    async def transfer(
        self,
        target: str,
        *,
        announce: str | None = None,
        attended: bool = False,
        whisper: str | None = None,
        timeout_s: float | None = None,
    ) -> TransferOutcome:
        """Hand the caller to ``target`` (``sip:`` or ``tel:`` URI). Accepted means the call ends.

        ``announce`` is said to the caller first. Blind, the caller's side calls the target by itself.
        ``attended``: we call it while the caller hears music, say ``whisper`` to it word for word, and join
        the two; when it does not answer, the caller is taken back and the flow goes on. ``timeout_s`` is for
        each step.
        """
        self._port.step("transfer")
        if announce:
            await self._port.speak(self._line(verbatim(announce), None, False, False, ()))
        line = self._line(verbatim(whisper), None, False, False, ()) if attended and whisper else None
        limit_s = self._transfer_timeout_s if timeout_s is None else timeout_s
        return await self._port.transfer(target, limit_s, attended=attended, whisper=line)

    # ── waiting ─────────────────────────────────────────────────────────────────────────────────
    @property
    def held(self) -> bool:
        """True while the caller's side has put us on hold: lines wait until it is back."""
        return self._port.held

    async def hold(self) -> bool:
        """Put the caller on hold with music; False where its side did not agree (and hears it anyway)."""
        self._port.step("hold")
        return await self._port.hold()

    async def resume(self) -> bool:
        """Take the caller back."""
        self._port.step("resume")
        return await self._port.resume()

    async def until_back(self) -> None:
        """Wait until neither side holds the other."""
        await self._port.until_back()

    async def send_digits(self, digits: str) -> None:
        """Send keys (0-9, ``*``, ``#``, A-D) to the other side, and return when they are sent."""
        if not digits or any(digit not in "0123456789*#ABCD" for digit in digits):
            raise RequestRefused("digits", "must be 0-9, *, #, A-D")
        self._port.step("send_digits")
        await self._port.send_digits(digits)

    def step(self, name: str) -> None:
        """Name the flow's present step, for console and journal."""
        self._port.step(name)

    @staticmethod
    def _line(
        instructions: str,
        metadata: Mapping[str, str] | None,
        interruptible: bool,
        replace: bool,
        tools: Sequence[Tool],
        *,
        after_playback: bool = False,
        question: bool = False,
    ) -> Line:
        return Line(
            instructions=instructions,
            replace=replace,
            metadata=dict(metadata or {}),
            interruptible=interruptible,
            when=When.AFTER_PLAYBACK if after_playback else When.IDLE,
            barge_policy=BargePolicy.DROP if interruptible else BargePolicy.REQUEUE,
            tools=tuple(tools),
            question=question,
        )


def verbatim(text: str) -> str:
    """Return instructions that have ``text`` spoken word for word."""
    quoted = text.replace('"', "'")
    return f'Say exactly this, word for word, and nothing else: "{quoted}"'


def repaired(excuse: str, prompt: str, keys: str) -> str:
    """Return the prompt of a further attempt: excuse, question and, on the last one, the keys."""
    parts = [f'Say "{excuse}"', f"Then: {prompt}"]
    if keys:
        parts.append(f'Then: Say "{keys}"')
    return " ".join(parts)
