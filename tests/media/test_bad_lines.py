"""Rows B4 to B7 of the fault table, in virtual time. ``voiceagent bench media`` runs the long ones."""

from __future__ import annotations

import random

import pytest

from voiceagent.bench.media import BAD, KEYS, PATHS, inband, run_media_bench
from voiceagent.bench.media_lines import Line, digits_heard, digits_wrong, jitter_run, jumps, our_digits
from voiceagent.media.tones import DtmfDetector, dtmf_g711


@pytest.mark.parametrize(
    ("ptime", "scale", "concealed"),
    [(10, 1, 0.99), (20, 1, 0.99), (30, 1, 0.99), (40, 1, 0.9), (60, 1, 0.9), (20, 6, 0.99), (60, 6, 0.9)],
)
def test_loss_jitter_and_copies_for_a_minute(ptime: int, scale: int, concealed: float) -> None:
    # From 40 ms packets on, two lost in a row outlast the patience for a sender that says nothing: there the
    # voice fades as time flows on, and is not counted as concealed.
    run = jitter_run(BAD, ptime=ptime, scale=scale)
    assert run.longest_wait_ms <= 120
    assert run.late_share <= 0.01
    assert run.concealed_share >= concealed
    assert run.in_order
    assert run.resyncs == 0
    assert abs(run.drift_ms) <= 160


@pytest.mark.parametrize("ppm", [-300.0, 300.0])
@pytest.mark.parametrize("scale", [1, 6])
def test_a_drifting_clock_adds_no_delay(ppm: float, scale: int) -> None:
    run = jitter_run(Line(jitter_s=0.005, ppm=ppm), seconds=120, scale=scale)
    assert run.longest_wait_ms <= 160
    assert run.drift_ms == 0
    assert run.resyncs == 0


def test_any_jump_of_the_numbering_is_followed_within_60_ms() -> None:
    run = jumps(10_000)
    assert run.longest_silence_ms <= 60
    assert run.longest_burst_ms <= 200
    assert run.most_held <= 6


@pytest.mark.parametrize("rate", [8000, 48_000])
@pytest.mark.parametrize("ours", [True, False], ids=["ours", "phone"])
def test_each_digit_exactly_once(rate: int, ours: bool) -> None:
    seeds = range(100 if rate == 8000 else 10)  # Opus takes its time
    assert digits_wrong(seeds, KEYS, PATHS[rate], ours=ours) == []


def test_a_perfect_line_and_one_that_loses_every_end_packet() -> None:
    path = PATHS[8000]
    sent = our_digits("1123*#AD", path)
    assert digits_heard(sent, path, Line(), random.Random(1)) == "1123*#AD"
    without_ends = [(at, data) for at, data in sent if len(data) != 16 or not data[13] & 0x80]
    assert len(without_ends) < len(sent)
    assert digits_heard(without_ends, path, KEYS, random.Random(2)) == "1123*#AD"


def test_the_bench_has_its_figures() -> None:
    figures = run_media_bench(frames=20, seeds=1, minutes=0.01, cases=20, hours=0.005)
    assert {"PCMU", "PCMA"} <= set(figures["codecs"])
    assert figures["digits"]["ours_8000"] == {"digits": 16, "seeds_wrong": 0}
    assert figures["drift"]["-300_ppm"]["resyncs"] == 0
    assert figures["jitter_buffer"]["ptime_20"]["in_order"]
    assert figures["jumps"]["cases"] == 20


def test_speech_like_audio_is_no_digit() -> None:
    found = inband(0.25)
    if found["false_hits"] is None:
        pytest.skip("numpy is not installed")
    assert found["false_hits"] == 0


def test_every_key_is_found_in_band_and_told_once() -> None:
    keys = "123A456B789C*0#D"
    line = b"".join(dtmf_g711(key, 60) + b"\xff" * 480 for key in keys)
    detector = DtmfDetector()
    assert "".join(detector.feed(line[at : at + 160]) for at in range(0, len(line), 160)) == keys
