"""WAV files are right at any moment."""

import struct
import wave
from pathlib import Path

import pytest

from voiceagent.errors import MediaError
from voiceagent.media import g711, tones
from voiceagent.media.wav import WavWriter, interleave, read_wav


def test_pcm_is_read_by_another_reader(tmp_path: Path):
    pcm = tones.sine(440, 500)
    with WavWriter(tmp_path / "a.wav", rate=8000) as writer:
        writer.write(pcm)
        assert writer.seconds == 0.5
    with wave.open(str(tmp_path / "a.wav")) as reader:
        assert (reader.getframerate(), reader.getnchannels(), reader.getsampwidth()) == (8000, 1, 2)
        assert reader.readframes(10**6) == pcm


@pytest.mark.parametrize("encoding", ["pcm", "ulaw", "alaw"])
def test_stereo_goes_round(tmp_path: Path, encoding):
    left, right = tones.sine(440, 300), tones.sine(880, 300)
    width = 2
    if encoding != "pcm":
        left, right, width = g711.encode(left, encoding), g711.encode(right, encoding), 1
    with WavWriter(tmp_path / "s.wav", channels=2, encoding=encoding) as writer:
        writer.write(interleave(left, right, width))
    wav = read_wav(tmp_path / "s.wav")
    assert (wav.rate, wav.channels, wav.encoding, wav.seconds) == (8000, 2, encoding, 0.3)
    assert wav.channel(0) == left
    assert wav.channel(1) == right
    with pytest.raises(IndexError):
        wav.channel(2)


def test_a_crash_loses_only_what_was_never_written(tmp_path: Path):
    path = tmp_path / "crash.wav"
    writer = WavWriter(path, encoding="ulaw", header_every=1600)
    for number in range(25):
        writer.write(bytes([number]) * 160)
    # Nothing was closed or flushed after the last whole header period.
    raw = path.read_bytes()
    assert read_wav(raw).data == b"".join(bytes([number]) * 160 for number in range(20))
    size = struct.unpack_from("<I", raw, raw.index(b"data") + 4)[0]
    assert size == 3200
    writer.close()
    writer.close()
    assert len(read_wav(path).data) == 4000


def test_a_file_cut_short_gives_what_is_there(tmp_path: Path):
    path = tmp_path / "cut.wav"
    with WavWriter(path) as writer:
        writer.write(bytes(1000))
    assert len(read_wav(path.read_bytes()[:-300]).data) == 700


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"RIFF\x00\x00\x00\x00WAVE",
        b"RIFX" + bytes(40),
        b"RIFF\x00\x00\x00\x00WAVEfmt \x04\x00\x00\x00\x01\x00\x01\x00",
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0"
        + struct.pack("<HHIIHH", 3, 1, 8000, 32000, 4, 32)
        + b"data\0\0\0\0",
    ],
)
def test_what_is_no_wav_is_refused(raw: bytes):
    with pytest.raises(MediaError) as error:
        read_wav(raw)
    assert error.value.code == "wav"


def test_odd_lengths_are_refused(tmp_path: Path):
    with WavWriter(tmp_path / "o.wav", channels=2) as writer, pytest.raises(ValueError):
        writer.write(bytes(6))
    with pytest.raises(ValueError):
        interleave(b"ab", b"abc")
