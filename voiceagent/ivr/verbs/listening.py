"""Listening without a word: for a message, an answer that nobody judges, a pause that the caller ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Literal

from voiceagent.errors import ConfigError
from voiceagent.ivr.ports import CallerSpoke, CallerStopped, DigitPressed
from voiceagent.ivr.resuming import last_turn
from voiceagent.ivr.verbs.base import Verbs

KEYPAD = frozenset("0123456789*#ABCD")
LONGEST_S = 7200.0
LOOK_S = 0.25
"""How often it looks whether somebody else (an operator, say) is still heard."""


@dataclass(frozen=True, slots=True)
class Listened:
    """How listening has ended: with a key, the caller's silence, or because its time was over."""

    reason: Literal["key", "silence", "time"]
    digit: str = ""
    spoke: bool = False
    """The caller was heard at all."""


class ListeningVerbs(Verbs):
    """``listen``."""

    async def listen(self, *, seconds: float = 120.0, silence_s: float = 5.0, keys: str = "#") -> Listened:
        """Say nothing and let the caller speak, until a key of ``keys`` (others do nothing), ``silence_s``
        without the caller's voice, or ``seconds`` in all.

        Nobody answers what the caller says, and no question takes it for its answer; a recording has it.
        Who begins to speak over the line before is listened to from there on. Times that are not above 0 and
        keys that no keypad has raise ConfigError; a secret key counts for nothing here.
        """
        if not 0 < seconds <= LONGEST_S:
            raise ConfigError("listen seconds", f"must be above 0, at most {LONGEST_S:g}, not {seconds}")
        if not silence_s > 0:
            raise ConfigError("listen silence_s", f"must be above 0, not {silence_s}")
        if not set(keys) <= KEYPAD:
            raise ConfigError("listen keys", f"must be keys of a keypad (0-9, *, #, A-D), not {keys!r}")
        self._step("listen")
        with self._listens("listen"):
            await self._port.expect(None)
            listened = await self._heard_out(seconds, silence_s, keys)
            self._port.forget_input()
        return listened

    async def _heard_out(self, seconds: float, silence_s: float, keys: str) -> Listened:
        port, now = self._port, asyncio.get_running_loop().time
        begun = last_turn(port.unread_inputs())
        port.forget_input()
        spoke = bool(begun)
        speaking = spoke and not any(isinstance(item, CallerStopped) for _, item in begun)
        quiet_at, ends_at = now(), now() + seconds
        while True:
            silent_since = port.silent_since()
            due = ends_at
            if silent_since is None:
                due = now() + LOOK_S
                quiet_at = due
            elif not speaking:
                due = max(quiet_at, silent_since) + silence_s
                if now() >= due:
                    return Listened("silence", spoke=spoke)
            if now() >= ends_at:
                return Listened("time", spoke=spoke)
            match await port.next_input(max(0.0, min(due, ends_at) - now())):
                case CallerSpoke():
                    speaking = spoke = True
                case CallerStopped():
                    speaking, quiet_at = False, now()
                case DigitPressed() as key if not key.secret:
                    quiet_at = now()
                    if key.digit in keys:
                        return Listened("key", key.digit, spoke)
                case _:
                    pass
