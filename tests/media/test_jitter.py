"""Order, holes, pauses, jumps: frames of 20 ms come out, on time and complete."""

import random

import pytest

from voiceagent.media import g711
from voiceagent.media.concealment import LONGEST, OVERLAP
from voiceagent.media.jitter import HOLD_MAX_S, MAX_DEBT, JitterBuffer

LOUD = bytes(range(0x10, 0x10 + 16)) * 10
SEQ, TS, SSRC = 65500, 2**32 - 8000, 99
"""All streams begin shortly before both wraps."""


def frame(number: int) -> bytes:
    """A loud frame that can be recognised."""
    return bytes([number % 64]) * 160


class Line:
    """A virtual caller: packets by number, and the clock of the receiver calling ``idle`` every 20 ms."""

    def __init__(self, law: g711.Law = "ulaw", ptime: int = 20) -> None:
        self.buffer = JitterBuffer(law)
        self.size = ptime * 8
        self.out = b""

    def push(
        self, number: int, now: float, payload: bytes | None = None, seq: int = SEQ, ts: int = TS
    ) -> bytes:
        got = self.buffer.push(
            (seq + number) & 0xFFFF,
            (ts + number * self.size) & 0xFFFFFFFF,
            SSRC,
            payload if payload is not None else (frame(number) * 4)[: self.size],
            now,
        )
        assert len(got) % 160 == 0
        self.out += got
        return got

    def idle(self, now: float) -> bytes:
        got = self.buffer.idle(now)
        assert len(got) % 160 == 0
        self.out += got
        return got


def test_in_order_passes_at_once():
    line = Line()
    for number in range(200):
        assert line.push(number, number * 0.02) == frame(number)
    assert line.buffer.received == 200
    assert (line.buffer.lost, line.buffer.resyncs, line.buffer.concealed) == (0, 0, 0)


def test_swapped_packets_are_put_in_order_and_doubles_dropped():
    line = Line()
    order = [0, 1, 3, 2, 2, 4, 5, 5, 6, 9, 8, 7, 10]
    for position, number in enumerate(order):
        line.push(number, position * 0.005)
    assert line.out == b"".join(frame(number) for number in range(11))
    assert line.buffer.lost == 0
    assert line.buffer.duplicates == 2
    assert line.buffer.late == 0


def test_a_hole_is_filled_after_the_hold_and_never_earlier():
    line = Line()
    line.push(0, 0.0)
    assert line.push(2, 0.04) == b""
    assert line.idle(0.07) == b""
    got = line.idle(0.081)
    assert len(got) == 320
    assert got[160 + OVERLAP :] == frame(2)[OVERLAP:]  # before that the made-up voice hands over
    faded = g711.linear(got[:160])
    loud = g711.linear(frame(0))
    assert all(0 < abs(now) <= abs(before) for now, before in zip(faded, loud, strict=True))
    assert abs(faded[-1]) < 0.7 * abs(loud[-1])
    assert (line.buffer.lost, line.buffer.concealed) == (1, 160)


def test_the_packet_that_comes_after_its_hole_was_filled_is_late_and_widens_the_hold():
    line = Line()
    line.push(0, 0.0)
    line.push(2, 0.04)
    line.idle(0.1)
    before = line.buffer.hold_s
    assert line.push(1, 0.11) == b""
    assert line.buffer.late == 1
    assert line.buffer.hold_s > before
    for _ in range(20):
        line.push(1, 0.12)
    assert line.buffer.hold_s <= HOLD_MAX_S
    assert line.buffer.late == 1
    assert line.buffer.duplicates == 20


@pytest.mark.parametrize("ptime", [10, 20, 30, 40, 50, 60])
def test_any_packet_time_becomes_frames_of_20_ms(ptime: int):
    line = Line(ptime=ptime)
    sent = b""
    for number in range(60):
        payload = bytes(random.Random(number).choices(range(60), k=ptime * 8))
        sent += payload
        line.push(number, number * ptime / 1000, payload)
    assert line.out == sent[: len(line.out)]
    assert len(sent) - len(line.out) < 160


@pytest.mark.parametrize("ptime", [10, 30, 60])
def test_loss_with_other_packet_times_keeps_the_count_of_samples(ptime: int):
    line = Line(ptime=ptime)
    for number in range(100):
        now = number * ptime / 1000
        if number % 10 != 5:
            line.push(number, now, bytes(ptime * 8))
        line.idle(now)
    line.idle(200.0)
    assert abs(len(line.out) - 100 * ptime * 8) <= 1600
    assert line.buffer.lost == 10


def test_telephone_event_packets_leave_no_hole():
    line = Line()
    for number in range(3):
        line.push(number, number * 0.02)
    for number in range(3, 8):
        line.out += line.buffer.skip(
            (SEQ + number) & 0xFFFF, (TS + 3 * 160) & 0xFFFFFFFF, SSRC, number * 0.02
        )
    line.push(8, 8 * 0.02)
    # The sender stopped its audio for the 100 ms of the tone: they come back as silence, not as a made-up
    # voice.
    assert line.out == b"".join([frame(0), frame(1), frame(2), b"\xff" * 800, frame(8)])
    assert (line.buffer.lost, line.buffer.concealed) == (0, 0)


def test_silence_flows_while_nothing_comes_and_a_pause_costs_nothing_twice():
    line = Line()
    line.push(0, 0.0)
    for step in range(1, 50):
        line.idle(step * 0.02)
    # The voice fades within 60 ms, then there is silence.
    faded = [abs(sample) for sample in g711.linear(line.out[160 : 160 + LONGEST])]
    assert faded == sorted(faded, reverse=True)
    assert line.out[160 + LONGEST :] == b"\xff" * (len(line.out) - 160 - LONGEST)
    flowed = (len(line.out) - 160) / 8
    assert 940 <= flowed <= 980
    # A phone with silence suppression goes on 1 s later: sequence follows, timestamp says how long it was
    # silent.
    line.out += line.buffer.push((SEQ + 1) & 0xFFFF, (TS + 50 * 160) & 0xFFFFFFFF, SSRC, frame(1), 1.0)
    assert abs(len(line.out) - 51 * 160) <= 160
    assert line.out.endswith(frame(1))


def test_audio_that_was_only_delayed_is_paid_back_from_quiet_frames():
    line = Line()
    line.push(0, 0.0)
    for step in range(1, 16):
        line.idle(step * 0.02)
    owed = len(line.out) - 160
    assert owed > MAX_DEBT
    quiet = b"\xff" * 160
    for number in range(1, 16):  # the burst of what was on its way
        line.push(number, 0.3, frame(number))
    for number in range(16, 60):
        line.push(number, number * 0.02, quiet if number % 3 else frame(number))
    assert line.buffer.discarded == owed
    assert len(line.out) == 60 * 160
    assert line.out[-160 * 2 :] == quiet * 2


def test_two_packets_of_a_new_numbering_start_over():
    line = Line()
    for number in range(10):
        line.push(number, number * 0.02)
    assert line.push(0, 0.2, frame(33), seq=30000, ts=5) == b""
    assert line.push(1, 0.22, frame(34), seq=30000, ts=5) == frame(34)
    assert line.push(2, 0.24, frame(35), seq=30000, ts=5) == frame(35)
    assert line.buffer.resyncs == 1


def test_one_stray_packet_changes_nothing():
    line = Line()
    for number in range(10):
        line.push(number, number * 0.02)
    line.push(0, 0.2, frame(33), seq=30000)
    assert line.push(10, 0.2) == frame(10)
    assert line.buffer.resyncs == 0


def test_random_jumps_resynchronise_without_bursts():
    rng = random.Random(4)
    buffer = JitterBuffer()
    now = 0.0
    for _ in range(5000):
        ssrc, seq, ts = rng.randrange(3), rng.randrange(65536), rng.randrange(2**32)
        first_heard = None
        for number in range(6):
            payload = frame(rng.randrange(64))
            now += 0.02
            got = buffer.push(
                (seq + number) & 0xFFFF, (ts + 160 * number) & 0xFFFFFFFF, ssrc, payload, now
            ) + buffer.idle(now)
            assert len(got) <= 1600  # 200 ms
            if got.endswith(payload) and first_heard is None:
                first_heard = number
        assert first_heard is not None
        assert first_heard <= 3  # 60 ms
        assert len(buffer.held) <= 6


def stamped(number: int) -> bytes:
    """A loud frame with its number in it."""
    return bytes([0x10, number >> 6 & 0x3F, number & 0x3F]) + bytes(157)


def simulate(seed: int, *, loss: float, jitter_ms: float, double: float, seconds: int, ppm: float = 0.0):
    """Return (buffer, samples out, numbers heard, longest wait of a packet in the buffer)."""
    rng = random.Random(seed)
    arrivals = []
    for number in range(int(seconds / 0.02)):
        if rng.random() < loss:
            continue
        sent = number * 0.02 * (1 + ppm / 1e6)
        copies = 2 if rng.random() < double else 1
        arrivals.extend((sent + rng.uniform(0, jitter_ms / 1000), number) for _ in range(copies))
    arrivals.sort()
    line = Line()
    tick = 0.0
    came: dict[int, float] = {}
    heard: list[int] = []
    longest = 0.0
    samples = 0

    def listen(audio: bytes, now: float) -> None:
        nonlocal longest, samples
        samples += len(audio)
        for start in range(0, len(audio), 160):
            if audio[start] == 0x10:
                number = audio[start + 1] << 6 | audio[start + 2]
                heard.append(number)
                longest = max(longest, now - came[number])
        line.out = b""

    for at, number in arrivals:
        while tick + 0.02 <= at:
            tick += 0.02
            listen(line.idle(tick), tick)
        came.setdefault(number & 0xFFF, at)
        listen(line.push(number, at, stamped(number & 0xFFF)), at)
    return line.buffer, samples, heard, longest


@pytest.mark.parametrize("seed", range(5))
def test_loss_jitter_and_doubles_for_a_minute(seed: int):
    buffer, samples, heard, longest = simulate(seed, loss=0.05, jitter_ms=30, double=0.02, seconds=60)
    assert heard == sorted(set(heard))
    assert buffer.late <= 0.01 * 3000
    assert longest <= 0.120
    assert abs(samples - 60 * 8000) <= 8000 * 0.16
    assert buffer.resyncs == 0


@pytest.mark.parametrize("ppm", [-300, 300])
def test_a_drifting_clock_adds_no_delay(ppm: float):
    buffer, samples, _, longest = simulate(1, loss=0, jitter_ms=5, double=0, seconds=60, ppm=ppm)
    assert longest == 0.0
    assert samples == 60 * 8000
    assert (buffer.filled, buffer.discarded, buffer.concealed) == (0, 0, 0)


def test_after_a_burst_of_loss_audio_is_back_at_once():
    line = Line()
    for number in range(10):
        line.push(number, number * 0.02)
        line.idle(number * 0.02)
    for number in range(10, 20):  # 200 ms are gone
        line.idle(number * 0.02)
    now = 20 * 0.02
    line.push(20, now)
    line.push(21, now + 0.02)
    line.idle(now + 0.041)
    assert line.out.endswith(frame(20)[OVERLAP:] + frame(21))
    assert abs(len(line.out) - 22 * 160) <= 320


def test_alaw_is_filled_with_its_own_silence():
    line = Line("alaw")
    line.push(0, 0.0, b"\xd5" * 160)
    got = b"".join(line.idle(step * 0.02) for step in range(1, 20))
    assert len(got) > 1600
    assert set(got) == {0xD5}
