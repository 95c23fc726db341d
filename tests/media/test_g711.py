"""G.711 tables against the standard library's (where it still has them), levels and tones."""

import math
import struct
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceagent.media import g711, levels, tones

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    try:
        import audioop
    except ImportError:  # gone in Python 3.13
        audioop = None

ALL = bytes(range(256))


@pytest.mark.skipif(audioop is None, reason="no audioop in this Python")
def test_decoding_is_the_standard_one():
    assert g711.decode(ALL, "ulaw") == audioop.ulaw2lin(ALL, 2)
    assert g711.decode(ALL, "alaw") == audioop.alaw2lin(ALL, 2)


@pytest.mark.skipif(audioop is None, reason="no audioop in this Python")
def test_encoding_of_every_sample_is_the_standard_one_within_its_rounding():
    pcm = struct.pack("<65536h", *range(-32768, 32768))
    for law, theirs in (("ulaw", audioop.lin2ulaw(pcm, 2)), ("alaw", audioop.lin2alaw(pcm, 2))):
        ours = g711.linear(g711.encode(pcm, law), law)
        for sample, mine, other in zip(range(-32768, 32768), ours, g711.linear(theirs, law), strict=True):
            assert abs(mine - sample) <= abs(other - sample) + 16, (law, sample, mine, other)


@pytest.mark.parametrize("law", ["ulaw", "alaw"])
def test_every_code_survives_the_round(law: g711.Law):
    again = g711.encode(g711.decode(ALL, law), law)
    assert g711.linear(again, law) == g711.linear(ALL, law)


def test_known_points():
    assert g711.linear(b"\xff\x7f\x00\x80") == [0, 0, -32124, 32124]
    assert g711.linear(b"\xd5\x55\x2a\xaa", "alaw") == [8, -8, -32256, 32256]
    assert g711.encode(bytes(4)) == b"\xff\xff"
    assert g711.silence_byte("ulaw") == 0xFF
    assert g711.silence_byte("alaw") == 0xD5
    with pytest.raises(ValueError):
        g711.encode(b"\x00")


def test_between_the_laws_nothing_gets_louder_than_a_step():
    for code, sample in enumerate(g711.ULAW_TO_LINEAR):
        there = g711.ALAW_TO_LINEAR[g711.ulaw_to_alaw(bytes([code]))[0]]
        assert abs(there - sample) <= max(16, abs(sample) / 16)
    for code, sample in enumerate(g711.ALAW_TO_LINEAR):
        there = g711.ULAW_TO_LINEAR[g711.alaw_to_ulaw(bytes([code]))[0]]
        assert abs(there - sample) <= max(16, abs(sample) / 16)


@settings(deadline=None)
@given(st.binary(max_size=400), st.sampled_from(["ulaw", "alaw"]))
def test_level_of_g711_is_the_level_of_its_pcm(data: bytes, law: g711.Law):
    assert levels.g711_dbfs(data, law) == pytest.approx(levels.pcm_dbfs(g711.decode(data, law)))


def test_levels_of_known_signals():
    assert levels.pcm_dbfs(b"") == levels.FLOOR_DB
    assert levels.pcm_dbfs(bytes(320)) == levels.FLOOR_DB
    assert levels.pcm_dbfs(struct.pack("<100h", *([32767, -32767] * 50))) == pytest.approx(0, abs=0.01)
    assert levels.pcm_dbfs(tones.sine(1000, 1000, dbfs=-10)) == pytest.approx(-13.01, abs=0.05)
    quiet = g711.encode(tones.sine(400, 200, dbfs=-60))
    loud = g711.encode(tones.sine(400, 200, dbfs=-30))
    assert levels.is_silent(quiet)
    assert not levels.is_silent(loud)
    assert levels.is_quiet(quiet, 0xFF)
    assert not levels.is_quiet(loud, 0xFF)
    assert levels.is_quiet(b"\xd5" * 160, 0xD5)


def test_gain_scales_both_halves():
    half = g711.gain_table("ulaw", 0.5)
    for code, sample in enumerate(g711.ULAW_TO_LINEAR):
        assert abs(g711.ULAW_TO_LINEAR[half[code]] - sample / 2) <= max(16, abs(sample) / 30)


@pytest.mark.parametrize("law", ["ulaw", "alaw"])
def test_each_digit_is_made_and_found(law: g711.Law):
    silence = bytes([g711.silence_byte(law)]) * 640
    detector = tones.DtmfDetector(law)
    line = b"".join(tones.dtmf_g711(digit, 80, law) + silence for digit in "1234567890*#ABCD11")
    found = "".join(detector.feed(line[at : at + 160]) for at in range(0, len(line), 160))
    assert found == "1234567890*#ABCD11"


def test_a_long_tone_is_one_digit_and_wrong_digits_are_refused():
    detector = tones.DtmfDetector()
    assert detector.feed(tones.dtmf_g711("5", 3000)) == "5"
    with pytest.raises(ValueError):
        tones.dtmf("E")


def test_voices_and_single_tones_are_no_digits():
    detector = tones.DtmfDetector()
    for hertz in (697, 941, 1209, 1633, 440, 425):
        assert detector.feed(g711.encode(tones.sine(hertz, 200))) == ""
    # Harmonics of a gliding pitch under a moving formant, ten virtual seconds.
    samples = []
    phase = 0.0
    for index in range(80_000):
        pitch = 120 + 60 * math.sin(index / 9000) + 20 * math.sin(index / 700)
        phase += 2 * math.pi * pitch / 8000
        formant = 700 + 500 * math.sin(index / 5000)
        value = sum(
            math.exp(-(((harmonic * pitch - formant) / 400) ** 2)) * math.sin(harmonic * phase)
            for harmonic in range(1, 16)
        )
        samples.append(int(2000 * value))
    assert detector.feed(g711.encode(struct.pack(f"<{len(samples)}h", *samples))) == ""
