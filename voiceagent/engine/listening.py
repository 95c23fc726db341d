"""From appended audio to turns: decode, blank keypad tones, judge voice, keep the caller's words. PURE.

All offsets are milliseconds of audio appended during the session. The owner runs the detector over
:meth:`Ear.frames` itself (in line, or on a thread when it is slow), then calls :meth:`Ear.judge`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .dtmf_mute import KeypadMute
from .ports import AudioFormat
from .resample import Resampler
from .turns import IdleTimeout, SpeechPaused, SpeechStarted, SpeechStopped, TurnDetector, TurnEvent, TurnRules
from .wire_audio import LINE_RATE, WIRE_RATES, decode

FRAME_MS = 32
FRAME_BYTES = FRAME_MS * LINE_RATE // 1000 * 2
BYTES_PER_MS = LINE_RATE // 1000 * 2
MOST_BUFFER_MS = 600_000
"""Audio kept for a commit by hand; older audio is forgotten."""
LEAD_MS = 500
"""Audio kept besides the prefix padding while nobody speaks."""


@dataclass(frozen=True, slots=True)
class Heard:
    """An edge, with the turn's 8 kHz PCM when it is an end or a pause."""

    event: TurnEvent
    pcm: bytes = b""


class Ear:
    """One session's input audio buffer."""

    def __init__(
        self, form: AudioFormat, turn_detection: Mapping[str, Any] | None, *, tell_pauses: bool = False
    ) -> None:
        self._tell_pauses = tell_pauses
        self._form: AudioFormat = form
        self._rate = Resampler(WIRE_RATES[form], LINE_RATE)
        self._mute = KeypadMute()
        self._detector = TurnDetector(TurnRules())
        self._automatic = False
        self._pending = bytearray()
        self._buffer = bytearray()
        self._first_ms = 0.0
        """Offset of the buffer's first sample."""
        self._turn_from = 0.0
        self._carry: bytes = b""
        self.configure(form, turn_detection)

    @property
    def automatic(self) -> bool:
        """Turns are found by voice activity."""
        return self._automatic

    @property
    def speaking(self) -> bool:
        """The caller's turn is running."""
        return self._automatic and self._detector.speaking

    @property
    def now_ms(self) -> float:
        """Offset up to which audio has been judged or stored."""
        return self._first_ms + len(self._buffer) / BYTES_PER_MS

    @property
    def buffered_ms(self) -> float:
        """Length of the uncommitted audio."""
        return (len(self._buffer) + len(self._pending)) / BYTES_PER_MS

    def configure(self, form: AudioFormat, turn_detection: Mapping[str, Any] | None) -> None:
        """Take other settings; audio time goes on."""
        if form != self._form:
            self._form = form
            self._rate = Resampler(WIRE_RATES[form], LINE_RATE)
            self._carry = b""
        automatic = turn_detection is not None
        if automatic != self._automatic:
            self._detector.now_ms = self.now_ms
            self._detector.abandon()
        self._automatic = automatic
        if turn_detection is not None:
            self._detector.change(TurnRules.from_wire(turn_detection, tell_pauses=self._tell_pauses))

    def take(self, wire: bytes) -> None:
        """Append wire audio."""
        if self._form == "audio/pcm":
            wire = self._carry + wire
            self._carry = wire[len(wire) // 2 * 2 :]
        self._pending += self._rate.feed(decode(wire, self._form))
        if not self._automatic:
            self._store(bytes(self._pending))
            self._pending.clear()
            self._forget(MOST_BUFFER_MS)

    def frames(self, most: int) -> list[bytes]:
        """Return up to ``most`` whole frames that wait for the detector, keypad tones blanked."""
        if not self._automatic:
            return []
        count = min(len(self._pending) // FRAME_BYTES, most)
        pending = bytes(self._pending[: count * FRAME_BYTES])
        del self._pending[: count * FRAME_BYTES]
        starts = range(0, len(pending), FRAME_BYTES)
        return [self._mute.pass_through(pending[at : at + FRAME_BYTES]) for at in starts]

    def judge(
        self, frames: Sequence[bytes], probabilities: Sequence[float], agent_until_ms: float
    ) -> list[Heard]:
        """Take the detector's verdicts. Up to the offset ``agent_until_ms`` the agent is heard."""
        heard: list[Heard] = []
        for frame, probability in zip(frames, probabilities, strict=True):
            agent_heard = self._detector.now_ms < agent_until_ms
            self._store(frame)
            events = self._detector.feed(probability, FRAME_MS, agent_heard=agent_heard)
            heard += [self._edge(event) for event in events]
        if not self._detector.speaking:
            self._forget(self._detector.rules.prefix_padding_ms + LEAD_MS)
        return heard

    def _edge(self, event: TurnEvent) -> Heard:
        match event:
            case SpeechStarted(audio_start_ms):
                self._turn_from = audio_start_ms
                return Heard(event)
            case SpeechPaused():
                return Heard(event, self._turn())
            case SpeechStopped():
                pcm = self._turn()
                self._drop_all()
                return Heard(event, pcm)
            case IdleTimeout():
                self._drop_all()
                return Heard(event)

    def _turn(self) -> bytes:
        """Return the PCM of the turn so far, prefix padding included."""
        skipped = max(0, round(self._turn_from - self._first_ms)) * BYTES_PER_MS
        return bytes(self._buffer[skipped:])

    def commit(self) -> bytes:
        """Take the whole buffer by hand."""
        self._store(bytes(self._pending))
        self._pending.clear()
        pcm = bytes(self._buffer)
        self._reset()
        return pcm

    def clear(self) -> None:
        """Forget the buffer; its audio still counts for offsets."""
        self._store(bytes(self._pending))
        self._pending.clear()
        self._reset()

    def _reset(self) -> None:
        self._drop_all()
        self._detector.now_ms = self.now_ms
        self._detector.abandon()

    def arm_idle(self) -> None:
        """A response ended."""
        self._detector.arm_idle()

    def disarm_idle(self) -> None:
        """A response began."""
        self._detector.disarm_idle()

    def _store(self, pcm: bytes) -> None:
        self._buffer += pcm

    def _drop_all(self) -> None:
        self._first_ms = self.now_ms
        self._buffer.clear()

    def _forget(self, keep_ms: int) -> None:
        surplus = len(self._buffer) - keep_ms * BYTES_PER_MS
        if surplus > BYTES_PER_MS * 250:
            surplus -= surplus % BYTES_PER_MS
            del self._buffer[:surplus]
            self._first_ms += surplus / BYTES_PER_MS
