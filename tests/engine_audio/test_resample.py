"""Levels, aliases, delay and state of the resampler."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceagent.engine.resample import Resampler, resample

PAIRS = [
    (16000, 8000),
    (22050, 8000),
    (24000, 8000),
    (8000, 24000),
    (16000, 24000),
    (22050, 24000),
    (8000, 16000),
]


def tone(hz: float, rate: int, seconds: float = 0.5, level: float = 8000.0) -> bytes:
    at = np.arange(int(seconds * rate)) / rate
    return np.rint(level * np.sin(2 * np.pi * hz * at)).astype("<i2").tobytes()


def rms(pcm: bytes, skip: int = 800) -> float:
    samples = np.frombuffer(pcm, "<i2").astype(float)[skip:-skip]
    return float(np.sqrt((samples**2).mean()))


@pytest.mark.parametrize(("source", "target"), PAIRS)
@pytest.mark.parametrize("hz", [300, 1000, 2500, 3300])
def test_a_tone_in_the_telephone_band_keeps_its_level(source: int, target: int, hz: int) -> None:
    made = rms(Resampler(source, target).feed(tone(hz, source)))
    assert 20 * np.log10(made / (8000 / np.sqrt(2))) == pytest.approx(0.0, abs=0.2)


@pytest.mark.parametrize("source", [16000, 22050, 24000])
@pytest.mark.parametrize("hz", [4100, 5000, 6500, 7500])
def test_a_tone_above_the_band_does_not_come_back_as_an_alias(source: int, hz: int) -> None:
    made = rms(Resampler(source, 8000).feed(tone(hz, source, level=16000)))
    assert 20 * np.log10(max(made, 0.1) / (16000 / np.sqrt(2))) < -55


def test_upsampling_leaves_no_image_of_the_band() -> None:
    made = np.frombuffer(Resampler(8000, 24000).feed(tone(1000, 8000)), "<i2").astype(float)[2000:10000]
    spectrum = np.abs(np.fft.rfft(made * np.hanning(len(made))))
    hz = np.fft.rfftfreq(len(made), 1 / 24000)
    images = spectrum[hz > 4200].max()
    assert 20 * np.log10(images / spectrum.max()) < -55


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_the_delay_is_at_most_four_milliseconds(source: int, target: int) -> None:
    stream = Resampler(source, target)
    assert 0 < stream.delay <= 0.004
    click = np.zeros(source // 10, "<i2")
    click[source // 50] = 30000
    made = np.abs(np.frombuffer(stream.feed(click.tobytes()), "<i2").astype(float))
    late = made.argmax() / target - (source // 50) / source
    assert late == pytest.approx(stream.delay, abs=1.0 / target + 1.0 / source)


@settings(max_examples=25, deadline=None)
@given(
    pair=st.sampled_from(PAIRS),
    cuts=st.lists(st.integers(min_value=0, max_value=1500), max_size=8),
    seed=st.integers(min_value=0, max_value=99),
)
def test_a_stream_cut_anywhere_gives_the_same_samples(
    pair: tuple[int, int], cuts: list[int], seed: int
) -> None:
    pcm = np.random.default_rng(seed).integers(-9000, 9000, 1500).astype("<i2").tobytes()
    whole = Resampler(*pair).feed(pcm)
    stream = Resampler(*pair)
    edges = [0, *sorted(cuts), 1500]
    parts = b"".join(stream.feed(pcm[2 * a : 2 * b]) for a, b in pairwise(edges))
    assert parts == whole
    assert len(whole) // 2 == -(-1500 * pair[1] // pair[0])


def test_flush_gives_the_tail_and_starts_anew() -> None:
    pcm = tone(1000, 16000, 0.1)
    stream = Resampler(16000, 8000)
    first = stream.feed(pcm) + stream.flush()
    assert len(first) > len(pcm) // 2
    assert stream.feed(pcm) + stream.flush() == first


def test_equal_rates_pass_through() -> None:
    pcm = tone(1000, 8000, 0.1)
    stream = Resampler(8000, 8000)
    assert stream.feed(pcm) == pcm
    assert stream.flush() == b""
    assert stream.delay == 0.0


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_whole_recording_stays_in_time(source: int, target: int) -> None:
    made = np.frombuffer(resample(tone(500, source, 0.2), source, target), "<i2").astype(float)
    want = np.frombuffer(tone(500, target, 0.2), "<i2").astype(float)
    size = min(len(made), len(want))
    assert abs(len(made) - len(want)) <= 1
    edge = target // 50
    assert np.corrcoef(made[edge : size - edge], want[edge : size - edge])[0, 1] > 0.99


def test_full_scale_does_not_wrap() -> None:
    square = np.where(np.arange(8000) // 40 % 2, 32767, -32768).astype("<i2").tobytes()
    made = np.frombuffer(Resampler(16000, 8000).feed(square), "<i2").astype(float)
    assert made.max() == 32767
    assert made.min() == -32768
    middles = made[30:-30].reshape(-1, 20)[:, 8:12]  # the edges come 30 samples late
    assert (np.abs(middles) > 30000).all()


def test_bad_rates_are_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        Resampler(0, 8000)
