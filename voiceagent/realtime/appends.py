"""PURE. How much of the caller's audio goes into one append: little around speech, more where there is none.

An append costs the same whatever it holds (a frame, a system call, a wake-up at the provider), so on a quiet
line there are fewer of them. What a provider decides by the caller's sound must not be later for it:

* the first sound after a silence leaves at once, together with the silence that was gathered before it;
* for 1.5 s after a sound, and as long as the provider holds the caller's turn open, nothing is gathered
  beyond 40 ms: the silence that ends a turn arrives as it comes. Once the provider says that the turn is
  over, there is nothing more to be decided by that silence;
* while a response is being made, sound leaves in 20 ms: it may be a barge-in.

Only when audio leaves depends on this, never what leaves or in what order.
"""

from __future__ import annotations

from voiceagent.realtime.config import BYTES_PER_MS

LISTENING_MS = 40
"""Length of an append while there is, or was lately, something to hear …"""
BARGE_IN_MS = 20
"""… of one with sound in it while a response is being made …"""
QUIET_MS = 100
"""… and of one on a quiet line."""
QUIET_AFTER_MS = 1500
"""A line is quiet after so long without a sound: longer than the silence that ends a turn."""

# Sound is a sample above −44 dBFS (206 of 32768): speech as soft as −56 dBFS (RMS) has some, noise of
# −58 dBFS has none.
_SIGNS = (0x80, 0x00)
QUIET_CODES = {
    "audio/pcmu": bytes(sign | 0x7F - step for sign in _SIGNS for step in range(21)),
    "audio/pcma": bytes((sign | step) ^ 0x55 for sign in _SIGNS for step in range(13)),
}
"""The codes of G.711 that are no sound. PCM is always taken for sound: who sends it gains nothing here."""


class Appends:
    """Gathers the audio of one link. ``audio_format`` is one of :data:`~.config.BYTES_PER_MS`."""

    __slots__ = (
        "_barge_in",
        "_listening",
        "_quiet",
        "_quiet_after",
        "_quiet_codes",
        "_responses",
        "_silence",
        "_turn_open",
        "_turn_over",
        "held",
    )

    def __init__(self, audio_format: str) -> None:
        per_ms = BYTES_PER_MS[audio_format]
        self._quiet_codes = QUIET_CODES.get(audio_format)
        self._listening = LISTENING_MS * per_ms
        self._barge_in = BARGE_IN_MS * per_ms
        self._quiet = QUIET_MS * per_ms
        self._quiet_after = QUIET_AFTER_MS * per_ms
        self.held = b""
        """What waits for more."""
        self._silence = 0
        """Bytes since the last sound."""
        self._turn_over = False
        """A turn has ended since the last sound."""
        self._responses: set[str] = set()
        """The responses that are being made."""
        self._turn_open = False

    def add(self, audio: bytes) -> bytes:
        """Take audio as it comes; return what is to be appended now, perhaps nothing."""
        silence = self._silence
        codes = self._quiet_codes
        joined = self.held + audio if self.held else audio
        if codes is None or audio.translate(None, codes):
            if self._turn_over or silence >= self._quiet_after:
                least = 0
            else:
                least = self._barge_in if self._responses else self._listening
            self._silence = 0
            self._turn_over = False
        else:
            self._silence = silence = silence + len(audio)
            decided = self._turn_over or silence >= self._quiet_after
            # Sound that waits is not made to wait any longer.
            quiet = decided and not self._turn_open and silence >= len(joined)
            least = self._quiet if quiet else self._listening
        if len(joined) < least:
            self.held = joined
            return b""
        self.held = b""
        return joined

    def flush(self) -> bytes:
        """Return what waits: something goes out that must come after it."""
        held, self.held = self.held, b""
        return held

    def turn_began(self) -> None:
        """The provider takes the caller to be speaking …"""
        self._turn_open = True

    def turn_ended(self) -> None:
        """… or to have stopped."""
        self._turn_open = False
        self._turn_over = True

    def response_began(self, response_id: str) -> None:
        """A response is being made."""
        self._responses.add(response_id)

    def response_ended(self, response_id: str) -> None:
        """It is made."""
        self._responses.discard(response_id)
