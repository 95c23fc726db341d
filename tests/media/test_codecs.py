"""Codecs of the wire: what goes in comes out, with its level, its length and little delay."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.media.tone_meter import share_of_tone
from voiceagent.bench.media import delay_ms
from voiceagent.errors import ConfigError
from voiceagent.media import codecs, g711
from voiceagent.media.codecs import available, decoder_for, demand, encoder_for, have_wide, opus_format
from voiceagent.media.g711 import Law
from voiceagent.media.levels import g711_dbfs
from voiceagent.media.tones import sine

WIDE = pytest.mark.skipif(not have_wide(), reason="PyAV is not installed")
CASES = [(codec, ptime) for codec in ("PCMU", "PCMA", "G722") for ptime in (10, 20, 30, 40, 60)]
CASES += [("opus", ptime) for ptime in (10, 20, 40, 60)]


def test_g711_of_the_lines_law_needs_nothing() -> None:
    assert decoder_for("PCMU", "ulaw") is None
    assert encoder_for("PCMU", "ulaw", 20) is None
    assert encoder_for("PCMA", "alaw", 20) is None


@pytest.mark.parametrize("law", ["ulaw", "alaw"])
@pytest.mark.parametrize(("codec", "ptime"), CASES)
def test_a_tone_comes_back(codec: str, ptime: int, law: Law) -> None:
    if codec in codecs.WIDE and not have_wide():
        pytest.skip("PyAV is not installed")
    line = g711.encode(sine(1000, 600, dbfs=-12), law)
    encoder, decoder = encoder_for(codec, law, ptime), decoder_for(codec, law)
    back, packets = b"", 0
    for at in range(0, len(line), 160):
        frame = line[at : at + 160]
        for payload in (frame,) if encoder is None else encoder.put(frame):
            packets += 1
            size = len(payload) if decoder is None else decoder.samples(payload)
            assert size == ptime * 8
            audio = payload if decoder is None else decoder.decode(payload)
            assert len(audio) == size
            back += audio
    assert packets == 600 // ptime
    assert len(back) == len(line)
    if encoder is not None:
        scale = 6 if codec == "opus" else 1
        assert (encoder.ticks, encoder.scale) == (ptime * 8 * scale, scale)
        assert decoder is None or decoder.scale == scale
    settled = back[1600:]
    assert g711_dbfs(settled, law) == pytest.approx(g711_dbfs(line, law), abs=1.0)
    assert share_of_tone(g711.linear(settled, law), 1000) > 0.98


@WIDE
@pytest.mark.parametrize("codec", ["G722", "opus"])
def test_a_codec_adds_little_delay(codec: str) -> None:
    assert 0 <= delay_ms(codec) <= 12


@WIDE
@pytest.mark.parametrize("codec", ["G722", "opus"])
def test_rubbish_is_a_value_error_or_sound_and_never_the_end(codec: str) -> None:
    decoder, encoder = decoder_for(codec, "ulaw"), encoder_for(codec, "ulaw", 20)
    assert decoder is not None
    assert encoder is not None
    good = next(iter(encoder.put(b"\x21" * 160)))
    for size in (1, 2, 3, 7, 40, 160):
        for fill in (0x00, 0x03, 0x5B, 0xFF):
            payload = bytes((fill,)) * size
            try:
                if decoder.samples(payload):
                    assert len(decoder.decode(payload)) == decoder.samples(payload)
            except ValueError:
                pass
    assert len(decoder.decode(good)) == 160


@pytest.mark.parametrize(
    ("packet", "samples"),
    [
        (b"\x08\xff", 160),  # SILK, narrow-band, 20 ms
        (b"\x18\xff", 480),  # 60 ms
        (b"\x09\xff\xff", 320),  # two frames of 20 ms
        (b"\x0b\x03\xff", 480),  # three
        (b"\x80\xff", 20),  # CELT, 2.5 ms
        (b"\xf8\xff", 160),  # CELT, full band, 20 ms
        (b"\x60\xff", 80),  # hybrid, 10 ms
        (b"\x1b\x03\xff", 0),  # 180 ms is more than a packet may hold
        (b"\x0b\x00", 0),
        (b"\x0b", 0),
        (b"", 0),
    ],
)
def test_how_long_an_opus_packet_sounds(packet: bytes, samples: int) -> None:
    assert opus_format.samples(packet) == samples


@pytest.mark.parametrize(
    ("fmtp", "fec", "cbr", "bits"),
    [
        ("", False, False, 20_000),
        ("useinbandfec=1; maxaveragebitrate=12000", True, False, 12_000),
        ("minptime=10;USEINBANDFEC=1;cbr=1", True, True, 20_000),
        ("maxaveragebitrate=510000", False, False, 20_000),
        ("maxaveragebitrate=1;stereo=1;;=;x", False, False, 6000),
        ("maxaveragebitrate=９９", False, False, 20_000),
    ],
)
def test_what_the_peer_asks_of_our_opus(fmtp: str, fec: bool, cbr: bool, bits: int) -> None:
    wanted = opus_format.wishes(fmtp)
    assert (wanted.fec, wanted.cbr, wanted.bits) == (fec, cbr, bits)


def test_without_pyav_wide_codecs_are_not_there_nor_to_be_demanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codecs, "have_wide", lambda: False)
    assert available() == ("PCMU", "PCMA")
    assert demand(("PCMA", "PCMU")) == ("PCMA", "PCMU")
    with pytest.raises(ConfigError, match=r"G722 needs PyAV: pip install 'voiceagent\[codecs\]'") as caught:
        demand(("G722", "PCMU"))
    assert caught.value.setting == "media.codecs"


def test_the_media_room_does_not_import_pyav() -> None:
    code = "import sys, voiceagent.media.party, voiceagent.media.port; sys.exit('av' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
