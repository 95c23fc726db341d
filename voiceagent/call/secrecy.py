"""What the caller types in secret is known to the flow only.

While a secret block is open, each key is shown to everybody else as :data:`~voiceagent.ivr.ports.HIDDEN`
(journal, console, sequencer, inputs that are written down), and the caller's sound is silence to whoever
listens: the model and its transcriber, the greeting's judge, a recording. The tone of the last key outlasts
the question, and people type on: both stay hidden for a little while after the block.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from voiceagent.call.flow_failure import failure_of
from voiceagent.call.masking import masked, told_by
from voiceagent.errors import RequestRefused
from voiceagent.ivr.ports import HIDDEN
from voiceagent.realtime.config import SILENCE

if TYPE_CHECKING:
    from voiceagent.call.call import Call

DEAF_AFTER_S = 1.0
"""So long after a secret block the caller's sound stays silence: a key may still be held, or on its way."""
KEYS_AFTER_S = 3.0
"""… and keys stay hidden: whoever types more than was asked for types more of the secret."""
LONGEST_AFTER_S = 15.0
"""… and every further key prolongs both, at most for so long: a card's number takes its time."""
TYPED_KEPT = 4096
"""So many secret keys of one call are remembered, to be found in what is written later."""


class Secrecy:
    """The secret blocks of one call."""

    __slots__ = ("_block_over", "_blocks", "_call", "_timers", "_typed", "deaf", "keys")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._blocks = 0
        self._timers: list[asyncio.TimerHandle] = []
        self._typed: list[str] = [""]
        """What was typed in secret, in runs: of one block, or after it; the last one grows."""
        self._block_over = 0.0
        """Loop time at which the last block was left."""
        self.deaf = False
        """Nobody may hear the caller now. Asked for every frame."""
        self.keys = False
        """Nobody but the flow may know a key now."""
        if call.inputs is not None:
            call.inputs.secret = lambda: self.keys
            call.inputs.masked, call.inputs.told_by = self.masked, self.told_by

    @property
    def open(self) -> bool:
        """True while anything is hidden."""
        return self.deaf or self.keys

    @contextmanager
    def block(self) -> Generator[None]:
        """Hide what the caller does; RequestRefused where others hear it before us."""
        if not self._call.leg.capabilities.private_input:
            raise RequestRefused(
                "secret", "the provider hears this caller and the keys before we do", code="not_supported"
            )
        self._begin()
        try:
            yield
        finally:
            self._blocks -= 1
            if not self._blocks:
                self._linger()

    def pressed(self, digit: str) -> str:
        """Return what may be written of a key that was just pressed.

        Secret ones are remembered until the call ends, to be found in what is written later.
        """
        if self.keys and digit.isdigit():
            if sum(map(len, self._typed)) < TYPED_KEPT:
                self._typed[-1] += digit
        else:
            self._new_run()
        if self.keys and not self._blocks:
            self._prolong()
        return self.shown(digit)

    def shown(self, digit: str) -> str:
        """Return what others may know of a key that was just pressed."""
        return HIDDEN if self.keys else digit

    def masked(self, text: str) -> str:
        """Return ``text`` with every secret of this call hidden: a message may have been made of one."""
        return masked(text, self._typed)

    def about(self, error: BaseException) -> str:
        """Return an error in one line without any secret of this call."""
        return failure_of(error, self.masked).about

    def told_by(self, text: str) -> bool:
        """Return whether a number in ``text`` is a secret of this call, or a part of it."""
        return told_by(text, self._typed)

    def _new_run(self) -> None:
        if self._typed[-1]:
            self._typed.append("")

    def silence(self, audio: bytes) -> bytes:
        """Return as much silence as there is ``audio``, in the line's law."""
        return SILENCE[self._call.leg.audio_format] * len(audio)

    def close(self) -> None:
        """The call is over."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _begin(self) -> None:
        self._blocks += 1
        self._new_run()
        self.close()
        if not self.open:
            self._call.journal.write("secret.opened")
        self.deaf = self.keys = True
        self._call.recorder.gate("secret", True)

    def _linger(self) -> None:
        self._block_over = asyncio.get_running_loop().time()
        # What was typed for the question is a secret by itself, whatever is typed on.
        if self._typed[-1]:
            self._typed.append(self._typed[-1])
        self._arm()

    def _prolong(self) -> None:
        """A key after the block: who types it is not done yet, and its tone is heard next."""
        if asyncio.get_running_loop().time() - self._block_over > LONGEST_AFTER_S:
            return
        self.close()
        self.deaf = True
        self._call.recorder.gate("secret", True)
        self._arm()

    def _arm(self) -> None:
        loop = asyncio.get_running_loop()
        self._timers = [
            loop.call_later(DEAF_AFTER_S, self._hear_again),
            loop.call_later(KEYS_AFTER_S, self._show_again),
        ]

    def _hear_again(self) -> None:
        self.deaf = False
        self._call.recorder.gate("secret", False)

    def _show_again(self) -> None:
        self.keys = False
        self._call.journal.write("secret.closed")
