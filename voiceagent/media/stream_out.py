"""PURE. What we say to the peer: the agent's audio, digits and silence as RTP packets, one slot at a time.

Audio that comes after silence does not wait for its slot: the owner serves it earlier and counts the ticks
in ``lead``; the silence that follows begins that much later, so that timestamps never overlap and stay true
in the long run. Frames that are not a packet as they are (another codec, law or packet time) pass through an
encoder, which gives its payloads when they are full.
"""

from __future__ import annotations

from collections.abc import Callable

from voiceagent.media import g711, rtp
from voiceagent.media.codecs import Encoder, encoder_for
from voiceagent.media.path import NOBODY, MediaPath, PortEvents
from voiceagent.media.playout import FRAME, Heard, Playout, Started
from voiceagent.media.telephone_event import DigitSender
from voiceagent.media.tones import dtmf_g711

TONE_MS = 100
TONE_PAUSE_FRAMES = 4


def _unsent(packet: bytearray) -> None:
    """The port is closed."""


class StreamOut:
    """One outgoing stream. ``send`` gets each packet in a buffer that is used again after it returns."""

    __slots__ = (
        "_ahead",
        "_digits",
        "_encoder",
        "_events",
        "_fresh",
        "_law",
        "_mark",
        "_path",
        "_playout",
        "_send",
        "_silence",
        "_slots",
        "_tones",
        "dialling",
        "lead",
        "music",
        "sends",
        "talking",
        "tap",
        "writer",
    )

    def __init__(
        self, events: PortEvents, send: Callable[[bytearray], None], writer: rtp.RtpWriter, slots: int
    ) -> None:
        """``slots`` are the ticks of a frame."""
        self._events = events
        self._send = send
        self._slots = slots
        self._path = MediaPath(None)
        self._law: g711.Law = "ulaw"
        self._silence = bytes((g711.ULAW_SILENCE,)) * FRAME
        self._playout = Playout()
        self._encoder: Encoder | None = None
        self._ahead = 0
        """Frames of time that the last packet before a hold took in advance."""
        self._mark = False
        """The next packet of the encoder begins a talk spurt."""
        self._fresh = True
        self._digits = DigitSender()
        self._tones: list[bytes] = []
        self.writer = writer
        self.sends = False
        """The direction lets us speak."""
        self.talking = False
        self.music: Callable[[], bytes] | None = None
        """What is heard in place of silence, frame by frame, while the peer is on hold."""
        self.tap: Callable[[bytes], None] | None = None
        """Hears every frame of agent, music and silence that goes out, in the law of the line; no keys."""
        self.dialling = False
        """Digits wait or are being sent, by either way."""
        self.lead = 0
        """Ticks by which this talk spurt was sent ahead of the grid."""

    def follow(self, path: MediaPath) -> None:
        """Go on as ``path`` says. What plays keeps its place; on hold it waits."""
        before = self._path
        fresh = (before.codec, before.ptime, before.fmtp) != (path.codec, path.ptime, path.fmtp)
        will_send = path.direction in ("sendrecv", "sendonly")
        if fresh or self._law != path.law or not will_send:
            self._complete()
        if fresh or self._law != path.law:
            self._law = path.law
            self._encoder = encoder_for(path.codec, path.law, path.ptime, path.fmtp)
            self.writer.ticks = FRAME * (1 if self._encoder is None else self._encoder.scale)
        self._digits.rate = path.event_rate
        silence = g711.silence_byte(self._law)
        self._silence = bytes((silence,)) * FRAME
        self._playout.silence = silence
        self.writer.set_payload_type(path.payload_type)
        held_before = not self.sends
        self.sends = will_send
        if self.sends and held_before:
            self._fresh = True
            self.talking = False
        self._path = path

    def close(self) -> None:
        """Nothing is sent and nobody is told any more, and nobody is held."""
        self._events, self._send = NOBODY, _unsent
        self.music = self.tap = None

    def play(self, audio: bytes, response_id: str, item_id: str) -> None:
        """Queue agent audio."""
        self._playout.write(audio, response_id, item_id)

    def play_end(self, response_id: str) -> None:
        """No more audio of this response will come."""
        self._playout.end(response_id)

    def stop_playing(self) -> list[Heard]:
        """Drop what waits; return what was heard of each unfinished item."""
        return self._playout.flush()

    @property
    def playing(self) -> bool:
        """True while an item is unfinished."""
        return self._playout.busy

    @property
    def eager(self) -> bool:
        """True when audio waits that would break a silence: it may be served before its slot."""
        return self.sends and not self.talking and not self.dialling and self._playout.ready

    def send_digits(self, digits: str, *, inband: bool = False) -> None:
        """Queue ``digits``: as events where agreed on, unless ``inband``; else as tones.

        ValueError for other characters.
        """
        if self._path.event_payload_type is not None and not inband:
            self._digits.queue(digits)
            self.dialling = self._digits.busy
            return
        tones = [dtmf_g711(digit, TONE_MS, self._law) for digit in digits]
        for tone in tones:
            self._tones.extend([tone[at : at + FRAME] for at in range(0, len(tone), FRAME)])
            self._tones.extend([self._silence] * TONE_PAUSE_FRAMES)
            self.dialling = True

    def frame(self) -> int:
        """Send what belongs into this slot; return by how many ticks to shift the next one."""
        writer = self.writer
        if self.dialling or not self.sends:
            # What was played to its end before has ended now, though nothing of the agent is taken.
            self._playout.retire()
            if self._playout.facts:
                self._tell()
            if self.sends:
                self._digit_frame()
            elif self._ahead:
                self._ahead -= 1
            else:
                writer.skip(1)
            return 0
        payload = self._playout.take()
        if payload is None:
            self.talking = False
            if self._playout.facts:
                self._tell()
            if self.lead:
                # The talk spurt was sent ahead of the grid: let its silence begin on the grid again.
                shift = self.lead - self._slots
                self.lead = 0
                return shift
            payload = self._silence if self.music is None else self.music()
            marker = self._fresh
        else:
            marker = not self.talking
            self.talking = True
        self._fresh = False
        if self._encoder is None:
            self._send(writer.audio(payload, marker))
        else:
            self._encoded(self._encoder, payload, marker)
        if self.tap is not None:
            self.tap(payload)
        if self._playout.facts:
            self._tell()
        return 0

    def _complete(self) -> None:
        """Send the packet that is begun: its audio counts as heard already, and is not for later."""
        encoder = self._encoder
        if encoder is None or not self.sends:
            return
        while encoder.waiting:
            self._encoded(encoder, self._silence, False)
            self._ahead += 1

    def _encoded(self, encoder: Encoder, frame: bytes, marker: bool) -> None:
        self._mark = self._mark or marker
        for payload in encoder.put(frame):
            self._send(self.writer.packet(payload, encoder.ticks, self._mark))
            self._mark = False

    def _digit_frame(self) -> None:
        writer = self.writer
        event_type = self._path.event_payload_type
        if self._tones:
            self._audio(self._tones.pop(0))
            self.dialling = bool(self._tones) or self._digits.busy
            return
        if self._encoder is not None and self._encoder.waiting and not self._digits.pausing:
            self._audio(self._silence)  # an event begins where a packet has ended
            return
        event = self._digits.next(writer.timestamp)
        if event is None or event_type is None:
            self._audio(self._silence)
        else:
            self._send(writer.event(event_type, event.payload, event.timestamp, event.marker))
        self.dialling = self._digits.busy

    def _audio(self, frame: bytes) -> None:
        if self._encoder is None:
            self._send(self.writer.audio(frame))
        else:
            self._encoded(self._encoder, frame, False)

    def _tell(self) -> None:
        facts = self._playout.facts
        self._playout.facts = []
        for fact in facts:
            if isinstance(fact, Started):
                self._events.on_playback_started(fact.response_id, fact.item_id)
            else:
                self._events.on_playback_ended(fact.response_id, fact.item_id, fact.heard_ms, fact.cut)
