"""PURE. Puts a caller's packets in order and makes whole 20 ms frames of G.711 of them, gaps filled.

The ear of this product is a model: it takes audio as fast as it comes. So there is no playout clock here
and no standing delay: a packet in order passes straight through. Only a *hole* makes later packets wait,
for ``hold`` (40 ms at first, up to 100 ms when the path proves to reorder), then it is filled.

Time still has to flow when no packets come, because turn detection counts samples:
:meth:`JitterBuffer.idle` lets the voice fade into silence after 120 ms of nothing (senders with silence
suppression, short outages), and gives the peer's comfort noise at once where it announced a pause. If the
missing audio then comes after all, the surplus is a *debt* and is paid back by leaving out frames of near
silence, at once when it is large; the delay so stays below 120 ms, which also covers a sender whose clock is
fast or slow.

All lengths and counts are samples at 8 kHz, whatever the codec and its RTP clock.
"""

from __future__ import annotations

from voiceagent.media import g711
from voiceagent.media.codecs import Decoder
from voiceagent.media.comfort_noise import ComfortNoise
from voiceagent.media.concealment import LONGEST, OVERLAP, blend, conceal
from voiceagent.media.g711 import Law
from voiceagent.media.levels import is_quiet
from voiceagent.media.playout import FRAME
from voiceagent.media.rtp import seq_delta, ts_delta

HOLD_MIN_S = 0.040
HOLD_MAX_S = 0.100
STARVED_S = 0.120
"""After so long without a packet, time flows on; at least three packet times."""
MAX_DEBT = 960
"""Samples (120 ms) that the stream may lag; beyond, audio is left out even if it is not silent."""
WINDOW = 64
"""Packets ahead of the expected one that still belong to the stream (1.28 s at 20 ms)."""
BEHIND = 4 * WINDOW
MAX_SAMPLES = 960
"""Of one packet (120 ms)."""
LONG_PAUSE = 240_000
"""Samples (30 s) that a sender may be silent between two packets of one numbering."""
FRAME_S = 0.020
BURST_FRAMES = 8
"""Frames (160 ms) that are made up at once at the most."""
MAX_GAP = 8000
"""Samples; a longer jump of the timestamp is a new time line, not a hole."""

Held = tuple[int, bytes | None, float, Decoder | None]
"""Timestamp, payload (None: no audio), when it came, its decoder (None: G.711 of the line's law)."""


class JitterBuffer:
    """One incoming stream. All methods return audio to pass on: zero or more whole frames.

    ``now`` is in seconds on any monotonic clock.
    """

    __slots__ = (
        "_bad",
        "_before",
        "_carry",
        "_debt",
        "_flowed",
        "_given_up",
        "_hold_s",
        "_hole_since",
        "_last",
        "_last_packet",
        "_law",
        "_next_seq",
        "_next_ts",
        "_noise",
        "_patience",
        "_scale",
        "_silence",
        "_ssrc",
        "_tail",
        "concealed",
        "discarded",
        "duplicates",
        "filled",
        "held",
        "late",
        "lost",
        "received",
        "reordered",
        "resyncs",
        "undecodable",
    )

    def __init__(self, law: Law = "ulaw") -> None:
        self._ssrc = -1
        self._next_seq = -1
        self._next_ts = 0
        self._scale: int = 1
        """Timestamp units per sample of the packet before."""
        self.held: dict[int, Held] = {}
        """Packets behind a hole, by their sequence; others only look."""
        self._hole_since = 0.0
        self._hold_s = HOLD_MIN_S
        self._carry = b""
        self._debt = 0
        self._bad = -1
        self._last_packet = 0.0
        self._patience = STARVED_S
        self._tail: list[int] | None = None
        """What a made-up voice would go on with, to be blended into the next packet."""
        self._flowed = 0.0
        self._given_up: list[int] = []
        self.received = 0
        """Packets taken in, audio or not."""
        self.lost = 0
        """Packets that never came, or came too late."""
        self.late = 0
        """Packets that came after their hole was filled."""
        self.duplicates = 0
        self.reordered = 0
        self.resyncs = 0
        self.concealed = 0
        """Samples made up for lost packets."""
        self.filled = 0
        """Samples of silence for times when nothing came."""
        self.discarded = 0
        """Samples left out to pay back debt."""
        self.undecodable = 0
        """Payloads that are none of their codec."""
        self.set_law(law)

    def set_law(self, law: Law) -> None:
        """Name the law of what comes out, and of the packets without a decoder."""
        self._law: Law = law
        self._silence = bytes((g711.silence_byte(law),)) * FRAME
        self._noise = ComfortNoise(law)
        self._before = self._last = self._silence
        self._tail = None

    def restart(self) -> None:
        """Begin anew with the next packet, whatever its numbers (the stream was off for a while)."""
        self._ssrc = -1
        self.held.clear()
        self._carry = b""
        self._debt = 0
        self._bad = -1
        self._tail = None
        self._patience = STARVED_S

    @property
    def hold_s(self) -> float:
        """How long a hole may keep later packets waiting now, in seconds."""
        return self._hold_s

    def push(
        self,
        sequence: int,
        timestamp: int,
        ssrc: int,
        payload: bytes,
        now: float,
        decoder: Decoder | None = None,
    ) -> bytes:
        """Take an audio packet in. Without a decoder it is G.711 of the line's law."""
        if decoder is None and len(payload) == FRAME:
            return self.push_frame(sequence, timestamp, ssrc, payload, now)
        return self._push(sequence, timestamp, ssrc, payload, now, decoder)

    def push_frame(self, sequence: int, timestamp: int, ssrc: int, payload: bytes, now: float) -> bytes:
        """The same for 20 ms of G.711 of the line's law: nearly all packets there are."""
        if (
            sequence == self._next_seq
            and timestamp == self._next_ts
            and ssrc == self._ssrc
            and not self.held
            and self._debt < FRAME
            and not self._carry
        ):
            self._next_seq = (sequence + 1) & 0xFFFF
            self._next_ts = (timestamp + FRAME) & 0xFFFFFFFF
            self._last_packet = now
            self._before = self._last
            self._last = payload
            self.received += 1
            return payload
        return self._push(sequence, timestamp, ssrc, payload, now, None)

    def skip(self, sequence: int, timestamp: int, ssrc: int, now: float) -> bytes:
        """Take in that ``sequence`` carried something else than audio (telephone-event)."""
        return self._push(sequence, timestamp, ssrc, None, now, None)

    def comfort(self, sequence: int, timestamp: int, ssrc: int, level: int, now: float) -> bytes:
        """Take a comfort noise packet in: a pause, and how loud it is in −dBov (RFC 3389)."""
        self._noise.tell(level)
        self._patience = FRAME_S
        return self._push(sequence, timestamp, ssrc, None, now, None)

    def _push(
        self,
        sequence: int,
        timestamp: int,
        ssrc: int,
        payload: bytes | None,
        now: float,
        decoder: Decoder | None,
    ) -> bytes:
        self.received += 1
        if payload is not None:
            self._last_packet = now
        if ssrc != self._ssrc:
            first = self._ssrc < 0
            self._ssrc = ssrc
            return self._resync(sequence, timestamp, payload, now, decoder, first)
        delta = seq_delta(sequence, self._next_seq)
        if delta == 0:
            self._bad = -1
            out = self._accept(timestamp, payload, decoder)
            self._next_seq = (sequence + 1) & 0xFFFF
            if self.held:
                since = self._hole_since
                out += self._release()
                # The hole closed by itself: waiting a little longer than this took is enough.
                self._hold_s = min(HOLD_MAX_S, max(HOLD_MIN_S, self._hold_s - 0.001, (now - since) * 1.5))
            return out
        if not self._plausible(delta, timestamp, payload, 1 if decoder is None else decoder.scale):
            # A stray packet, or a new numbering: two in a row decide (RFC 3550, appendix A.1).
            if sequence == self._bad:
                return self._resync(sequence, timestamp, payload, now, decoder, False)
            self._bad = (sequence + 1) & 0xFFFF
            return b""
        self._bad = -1
        if delta < 0:
            if sequence in self._given_up:
                self._given_up.remove(sequence)
                self.late += 1
                self._hold_s = min(HOLD_MAX_S, self._hold_s + 0.020)
            else:
                self.duplicates += 1
            return b""
        if sequence in self.held:
            self.duplicates += 1
            return b""
        if not self.held:
            self._hole_since = now
        self.held[sequence] = (timestamp, payload, now, decoder)
        return self.idle(now)

    def _plausible(self, delta: int, timestamp: int, payload: bytes | None, scale: int) -> bool:
        """True when a packet ``delta`` ahead (or behind) can be of this numbering, by its timestamp too."""
        if not -BEHIND <= delta <= WINDOW:
            return False
        if payload is None or scale != self._scale:
            return True  # an event is stamped with its beginning; another clock has no distance to this one
        distance = ts_delta(timestamp, self._next_ts) // scale
        if delta < 0:
            return -BEHIND * MAX_SAMPLES <= distance < 0
        return 0 < distance <= delta * MAX_SAMPLES + LONG_PAUSE

    def idle(self, now: float) -> bytes:
        """Call every 20 ms or so: fills holes that waited long enough, gives silence when nothing comes."""
        if self.held:
            out = b""
            while self.held and (now - self._hole_since >= self._hold_s or len(self.held) >= WINDOW):
                out += self._fill_hole()
            return out
        last = self._last_packet
        if self._ssrc < 0 or now - last < self._patience:
            return b""
        if self._flowed < last:
            self._flowed = last + FRAME_S
        frames = int((now - self._flowed) / FRAME_S + 1e-6)
        if frames <= 0:
            return b""
        if frames > BURST_FRAMES:
            frames = BURST_FRAMES
            self._flowed = now
        else:
            self._flowed += frames * FRAME_S
        self._debt += frames * FRAME
        self.filled += frames * FRAME
        return self._frames(self._quiet(frames * FRAME))

    def _quiet(self, samples: int) -> bytes:
        """Time without packets: the peer's background noise, else the voice fades into silence."""
        if self._noise.told:
            return self._noise.take(samples)
        if self._last == self._silence:
            return self._silence[:1] * samples
        return conceal(self._before + self._last, samples, self._law)[0]

    def _resync(
        self,
        sequence: int,
        timestamp: int,
        payload: bytes | None,
        now: float,
        decoder: Decoder | None,
        first: bool,
    ) -> bytes:
        """Start over at this packet; what was held behind a hole is of the old time line and dropped."""
        if not first:
            self.resyncs += 1
        self.held.clear()
        self._carry = b""
        self._debt = 0
        self._bad = -1
        self._tail = None
        self._next_seq = (sequence + 1) & 0xFFFF
        self._next_ts = timestamp
        self._last_packet = now
        self._flowed = now
        return self._accept(timestamp, payload, decoder)

    def _accept(self, timestamp: int, payload: bytes | None, decoder: Decoder | None) -> bytes:
        """Append one packet in order; a jump of the timestamp is a pause, not a loss: silence."""
        if payload is None:
            return b""
        size, scale = (len(payload), 1) if decoder is None else (decoder.samples(payload), decoder.scale)
        if not 0 < size <= MAX_SAMPLES:
            self.undecodable += 1
            return b""
        if scale != self._scale:
            self._scale = scale
            self._next_ts = timestamp
        self._patience = max(STARVED_S, 3 * size / 8000)
        out = b""
        gap = ts_delta(timestamp, self._next_ts) // scale
        if 0 < gap <= MAX_GAP:
            out = self._pause(gap)
        elif gap < -FRAME or gap > MAX_GAP:
            # The sender's time line jumped; what waits counts for nothing any more.
            self._debt = 0
            self.resyncs += 1
        self._next_ts = (timestamp + size * scale) & 0xFFFFFFFF
        if decoder is not None:
            try:
                payload = decoder.decode(payload)
            except ValueError:
                self.undecodable += 1
                self.concealed += size
                payload = conceal(self._before + self._last, size, self._law)[0]
        return out + self._emit(payload)

    def _pause(self, gap: int) -> bytes:
        """Silence for a pause of ``gap`` samples, less what flowed already while nothing came."""
        gap = self._repay(gap)
        if not gap:
            return b""
        # Whole frames keep the packets to come on the short road; the surplus is paid back in time.
        surplus = -(gap + len(self._carry)) % FRAME
        self._debt += surplus
        gap += surplus
        self.filled += gap
        return self._frames(self._noise.take(gap))

    def _repay(self, gap: int) -> int:
        """Take debt off ``gap``; return what is left to make up, bounded."""
        paid = min(self._debt, gap)
        self._debt -= paid
        return min(gap - paid, BURST_FRAMES * FRAME)

    def _emit(self, payload: bytes) -> bytes:
        size = len(payload)
        if self._tail is not None:
            payload = blend(self._tail, payload, self._law)
            self._tail = None
        if (
            self._debt >= size
            and not self._carry
            and (self._debt > MAX_DEBT or is_quiet(payload, self._silence[0]))
        ):
            self._debt -= size
            self.discarded += size
            return b""
        return self._frames(payload)

    def _frames(self, payload: bytes) -> bytes:
        """Join ``payload`` to the unfinished frame, return the whole ones."""
        data = self._carry + payload if self._carry else payload
        rest = len(data) % FRAME
        if rest:
            self._carry = data[-rest:]
            data = data[:-rest]
        else:
            self._carry = b""
        if data:
            self._before = data[-2 * FRAME : -FRAME] or self._last
            self._last = data[-FRAME:]
        return data

    def _release(self) -> bytes:
        """Pass on the held packets that are in order now."""
        out: list[bytes] = []
        held = self.held
        while held:
            entry = held.pop(self._next_seq, None)
            if entry is None:
                self._hole_since = min([came for _, _, came, _ in held.values()])
                break
            self.reordered += 1
            self._next_seq = (self._next_seq + 1) & 0xFFFF
            out.append(self._accept(entry[0], entry[1], entry[3]))
        return b"".join(out)

    def _fill_hole(self) -> bytes:
        """Give up on the packets before the first held one."""
        first = min(self.held, key=lambda sequence: seq_delta(sequence, self._next_seq))
        missing = seq_delta(first, self._next_seq)
        timestamp, payload, _, decoder = self.held[first]
        self.lost += missing
        self._given_up.extend([(self._next_seq + index) & 0xFFFF for index in range(missing)])
        del self._given_up[:-WINDOW]
        out = b""
        scale = 1 if decoder is None else decoder.scale
        gap = 0
        if payload is not None and scale == self._scale:
            gap = ts_delta(timestamp, self._next_ts) // scale
        if 0 < gap <= MAX_GAP:
            out = self._conceal(gap)
            self._next_ts = timestamp
        self._next_seq = first
        return out + self._release()

    def _conceal(self, gap: int) -> bytes:
        gap = self._repay(gap)
        if not gap:
            # Silence flowed instead while nothing came: the voice fades in.
            self._tail = [0] * OVERLAP
            return b""
        self.concealed += gap
        audio, self._tail = conceal(self._before + self._last, gap, self._law)
        if gap > LONGEST and self._noise.told:
            audio = audio[:LONGEST] + self._noise.take(gap - LONGEST)
        return self._frames(audio)
