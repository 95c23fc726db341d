"""Made-up voice and comfort noise: no clicks, the right level, an end."""

from __future__ import annotations

import itertools
import math

import pytest

from voiceagent.media import g711
from voiceagent.media.comfort_noise import ComfortNoise, level_of
from voiceagent.media.concealment import LONGEST, OVERLAP, blend, conceal
from voiceagent.media.g711 import Law
from voiceagent.media.jitter import JitterBuffer
from voiceagent.media.levels import g711_dbfs

LAWS: list[Law] = ["ulaw", "alaw"]


def voice(count: int, pitch: float = 130.0, start: int = 0) -> list[int]:
    """A voiced sound: ten harmonics of ``pitch``, with a formant."""
    samples = []
    for at in range(start, start + count):
        value = sum(
            math.sin(2 * math.pi * pitch * harmonic * at / 8000) / (1 + abs(harmonic - 4))
            for harmonic in range(1, 11)
        )
        samples.append(round(4000 * value))
    return samples


def coded(samples: list[int], law: Law = "ulaw") -> bytes:
    return g711.encode(b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples), law)


def steepest(samples: list[int]) -> int:
    return max(abs(b - a) for a, b in itertools.pairwise(samples))


@pytest.mark.parametrize("pitch", [70.0, 95.0, 130.0, 180.0, 230.0])
@pytest.mark.parametrize("law", LAWS)
def test_a_voiced_sound_goes_on_and_hands_over_without_a_click(law: Law, pitch: float) -> None:
    past = voice(320, pitch)
    made, tail = conceal(coded(past, law), 160, law)
    following = coded(voice(160, pitch, 480), law)
    whole = past + g711.linear(made + blend(tail, following, law), law)
    # No joint is steeper than the voice itself is (G.711 rounds by up to 3 %).
    assert steepest(whole) <= 1.25 * steepest(past)
    assert g711_dbfs(made, law) == pytest.approx(g711_dbfs(coded(past, law), law), abs=4)


@pytest.mark.parametrize("law", LAWS)
def test_a_long_gap_fades_to_silence(law: Law) -> None:
    made, tail = conceal(coded(voice(320), law), 1000, law)
    assert len(made) == 1000
    levels = [g711_dbfs(made[at : at + 160], law) for at in range(0, 480, 160)]
    assert levels == sorted(levels, reverse=True)
    assert set(made[LONGEST:]) == {g711.silence_byte(law)}
    assert tail == [0] * OVERLAP


def test_there_may_be_no_past() -> None:
    assert conceal(b"", 160, "ulaw")[0] == b"\xff" * 160
    assert len(conceal(b"\x21" * 30, 160, "ulaw")[0]) == 160


@pytest.mark.parametrize("law", LAWS)
def test_a_lost_packet_in_a_stream_is_no_click(law: Law) -> None:
    whole = voice(160 * 20)
    buffer = JitterBuffer(law)
    out = b""
    for number in range(20):
        now = number * 0.02
        if number not in (9, 10):
            frame = coded(whole[number * 160 : number * 160 + 160], law)
            out += buffer.push(
                (65500 + number) & 0xFFFF, (2**32 - 8000 + 160 * number) & 0xFFFFFFFF, 1, frame, now
            )
        out += buffer.idle(now)
    assert len(out) == 160 * 20
    assert steepest(g711.linear(out, law)) <= 1.25 * steepest(whole)
    assert (buffer.lost, buffer.concealed) == (2, 320)


@pytest.mark.parametrize("level", [40, 50, 60, 70])
@pytest.mark.parametrize("law", LAWS)
def test_noise_has_the_level_that_was_told(law: Law, level: int) -> None:
    noise = ComfortNoise(law)
    assert set(noise.take(320)) == {g711.silence_byte(law)}
    assert not noise.told
    noise.tell(level)
    first, second = noise.take(4000), noise.take(4000)
    assert first != second
    assert g711_dbfs(first + second, law) == pytest.approx(-level, abs=1.5 if level < 65 else 6)


def test_noise_is_never_loud_and_may_be_silence() -> None:
    noise = ComfortNoise()
    noise.tell(0)
    assert g711_dbfs(noise.take(8000)) < -33
    noise.tell(127)
    assert set(noise.take(160)) == {0xFF}
    assert (level_of(b""), level_of(b"\xc0\x01")) == (None, 64)
