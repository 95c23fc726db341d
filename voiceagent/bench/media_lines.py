"""Bad lines in virtual time for ``bench media`` and the tests: loss, jitter, copies, jumps; digits over them.

Everything is seeded and nothing waits: a line is a list of arrivals, worked off against a jitter buffer or a
whole incoming stream. All streams begin shortly before both wraps (sequence 65,500, timestamp 2³² − 8,000).
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from voiceagent.errors import MediaError
from voiceagent.media import rtp
from voiceagent.media.jitter import JitterBuffer
from voiceagent.media.path import MediaPath
from voiceagent.media.stream_in import StreamIn
from voiceagent.media.stream_out import StreamOut
from voiceagent.media.telephone_event import DIGITS, EventPayload, build_event

SEQUENCE, TIMESTAMP = 65_500, 2**32 - 8_000
FRAME_S = 0.02


@dataclass(frozen=True, slots=True)
class Line:
    """What a network does to packets. ``loss`` and ``double`` are shares, ``jitter_s`` the longest delay."""

    loss: float = 0.0
    jitter_s: float = 0.0
    double: float = 0.0
    ppm: float = 0.0
    """How fast the sender's clock runs."""

    def arrivals(self, sent: Sequence[float], dice: random.Random) -> list[tuple[float, int]]:
        """Return (time, index) of everything that arrives of packets sent at these times."""
        out: list[tuple[float, int]] = []
        for index, at in enumerate(sent):
            if dice.random() < self.loss:
                continue
            copies = 2 if dice.random() < self.double else 1
            on_time = at * (1 + self.ppm / 1e6)
            out.extend((on_time + dice.uniform(0, self.jitter_s), index) for _ in range(copies))
        out.sort()
        return out


class _Ear:
    """A decoder that notes which packet is passed on."""

    def __init__(self, scale: int, size: int) -> None:
        self.scale = scale
        self.heard: list[int] = []
        self._size = size

    def samples(self, payload: bytes) -> int:
        return self._size

    def decode(self, payload: bytes) -> bytes:
        self.heard.append(int.from_bytes(payload, "big"))
        return b"\x10" * self._size


class JitterRun(NamedTuple):
    """What a jitter buffer made of one line. Shares are of 1."""

    longest_wait_ms: float
    """Of a packet that was passed on, in the buffer."""
    late_share: float
    concealed_share: float
    """Of the time of the packets that were never heard."""
    drift_ms: float
    """Samples out against the sender's time."""
    in_order: bool
    resyncs: int


def jitter_run(
    line: Line, *, ptime: int = 20, scale: int = 1, seconds: float = 60, seed: int = 1
) -> JitterRun:
    """Send ``seconds`` of packets of ``ptime`` ms over ``line``; ``scale`` 6 is a clock of 48 kHz."""
    dice = random.Random(seed)
    size = ptime * 8
    count = int(seconds * 1000 / ptime)
    buffer, ear = JitterBuffer(), _Ear(scale, size)
    came: dict[int, float] = {}
    tick = longest = 0.0
    samples = 0
    for now, number in line.arrivals([index * ptime / 1000 for index in range(count)], dice):
        while tick + FRAME_S <= now:
            tick += FRAME_S
            before = len(ear.heard)
            samples += len(buffer.idle(tick))
            for one in ear.heard[before:]:
                longest = max(longest, tick - came[one])
        came.setdefault(number, now)
        before = len(ear.heard)
        samples += len(
            buffer.push(
                (SEQUENCE + number) & 0xFFFF,
                (TIMESTAMP + number * size * scale) & 0xFFFFFFFF,
                77,
                number.to_bytes(4, "big"),
                now,
                ear,
            )
        )
        for one in ear.heard[before:]:
            longest = max(longest, now - came[one])
    heard = ear.heard
    missing = (heard[-1] - heard[0] + 1 - len(heard)) * size
    expected = (heard[-1] + 1) * size
    return JitterRun(
        longest_wait_ms=round(longest * 1000, 1),
        late_share=buffer.late / count,
        concealed_share=1.0 if not missing else min(1.0, buffer.concealed / missing),
        drift_ms=round((samples - expected) / 8, 1),
        in_order=all(a < b for a, b in itertools.pairwise(heard)),
        resyncs=buffer.resyncs,
    )


class JumpRun(NamedTuple):
    """The worst of many jumps of SSRC, sequence and timestamp."""

    longest_silence_ms: float
    """From the jump to the first packet of the new numbering that was heard."""
    longest_burst_ms: float
    most_held: int


def jumps(cases: int, seed: int = 4) -> JumpRun:
    """Let a stream jump ``cases`` times, with a few packets between."""
    dice = random.Random(seed)
    buffer, ear = JitterBuffer(), _Ear(1, 160)
    now, number = 0.0, 0
    silence = burst = held = 0
    for _ in range(cases):
        ssrc, sequence, timestamp = dice.randrange(3), dice.randrange(65536), dice.randrange(2**32)
        first = None
        for step in range(5):
            now += FRAME_S
            number += 1
            heard = len(ear.heard)
            audio = buffer.push(
                (sequence + step) & 0xFFFF,
                (timestamp + 160 * step) & 0xFFFFFFFF,
                ssrc,
                number.to_bytes(4, "big"),
                now,
                ear,
            )
            audio += buffer.idle(now)
            burst = max(burst, len(audio))
            held = max(held, len(buffer.held))
            if first is None and number in ear.heard[heard:]:
                first = step
        silence = max(silence, 5 if first is None else first)
        ear.heard.clear()
    return JumpRun(silence * 20.0, burst / 8, held)


@dataclass(slots=True)
class Keys:
    """What a stream tells: the digits."""

    digits: str = ""
    audio: int = 0
    played: list[str] = field(default_factory=list[str])

    def on_audio(self, audio: bytes) -> None:
        self.audio += len(audio)

    def on_digit(self, digit: str) -> None:
        self.digits += digit

    def on_playback_started(self, response_id: str, item_id: str) -> None:
        self.played.append(item_id)

    def on_playback_ended(self, response_id: str, item_id: str, heard_ms: int, cut: bool) -> None: ...

    def on_media_lost(self, silence_s: float) -> None: ...

    def on_media_failed(self, error: MediaError) -> None: ...


Sent = list[tuple[float, bytes]]


def our_digits(digits: str, path: MediaPath) -> Sent:
    """Every packet of ours while ``digits`` are sent, and when it leaves."""
    packets: Sent = []
    writer = rtp.RtpWriter(0, ssrc=9, sequence=SEQUENCE, timestamp=TIMESTAMP)
    now = 0.0

    def send(packet: bytearray) -> None:
        packets.append((now, bytes(packet)))

    stream = StreamOut(Keys(), send, writer, 10)
    stream.follow(path)
    stream.send_digits(digits)
    while stream.dialling:
        stream.frame()
        now += FRAME_S
    return packets


def phone_digits(digits: str, path: MediaPath, dice: random.Random) -> Sent:
    """The same as a desk phone sends it: 50 to 100 ms a digit, updates every 20 or 50 ms, three end packets.

    The end packets follow each other at once with some phones, and audio goes on between the digits.
    """
    packets: Sent = []
    sequence, timestamp, now = SEQUENCE, TIMESTAMP, 0.0
    step_ms, at_once = dice.choice((20, 20, 50)), dice.random() < 0.5
    event_type, rate = path.digit_type, path.event_rate
    clock = path.clock_rate

    def send(payload_type: int, payload: bytes, stamp: int, marker: bool = False) -> None:
        nonlocal sequence
        packet = rtp.RtpPacket(payload_type, marker, sequence & 0xFFFF, stamp & 0xFFFFFFFF, 9, payload)
        packets.append((now, rtp.build(packet)))
        sequence += 1

    for digit in digits:
        for _ in range(dice.randrange(3, 6)):
            send(path.payload_type, b"\x21" * 160, timestamp)
            now += FRAME_S
            timestamp += clock // 50
        length_ms = dice.choice((50, 60, 80, 100))
        started = now
        for at in [*range(step_ms, length_ms, step_ms), length_ms]:
            payload = build_event(EventPayload(DIGITS.index(digit), False, 10, at * rate // 1000))
            send(event_type or 101, payload, timestamp, at == min(step_ms, length_ms))
            now = started + at / 1000
        for _ in range(3):
            payload = build_event(EventPayload(DIGITS.index(digit), True, 10, length_ms * rate // 1000))
            send(event_type or 101, payload, timestamp)
            now += 0.0 if at_once else FRAME_S
        timestamp += round((now - started) * clock)
    return packets


def digits_heard(packets: Sent, path: MediaPath, line: Line, dice: random.Random) -> str:
    """Send packets over ``line`` into a stream of ours; return the digits that it told.

    A press of which no packet at all would arrive keeps its last one: nobody can know of it.
    """
    keys = Keys()
    stream = StreamIn(keys)
    stream.follow(path)
    parsed = [rtp.parse(data) for _, data in packets]
    arrivals = line.arrivals([at for at, _ in packets], dice)
    arrived = {index for _, index in arrivals}
    presses: dict[tuple[int, int], list[int]] = {}
    for index, packet in enumerate(parsed):
        if packet.payload_type == path.digit_type:
            presses.setdefault((packet.timestamp, packet.payload[0]), []).append(index)
    for indexes in presses.values():
        if arrived.isdisjoint(indexes):
            arrivals.append((packets[indexes[-1]][0], indexes[-1]))
    arrivals.sort()
    tick = 0.0
    for now, index in arrivals:
        while tick + FRAME_S <= now:
            tick += FRAME_S
            stream.idle(tick)
        stream.packet(parsed[index], now)
    return keys.digits


def digits_wrong(seeds: range, line: Line, path: MediaPath, *, ours: bool, count: int = 16) -> list[int]:
    """Return the seeds of ``count`` random digits each that were not told exactly once and in order."""
    wrong: list[int] = []
    for seed in seeds:
        dice = random.Random(seed)
        digits = "".join(dice.choice(DIGITS) for _ in range(count))
        packets = our_digits(digits, path) if ours else phone_digits(digits, path, dice)
        if digits_heard(packets, path, line, dice) != digits:
            wrong.append(seed)
    return wrong
