"""A recording that a crash left behind plays to its last sample, wherever the crash came."""

from __future__ import annotations

from pathlib import Path

import pytest

from voiceagent.errors import MediaError
from voiceagent.media.wav import WavWriter, read_wav
from voiceagent.records.repair import repair_wav

SECOND = bytes(range(256)) * 125
"""One second of stereo PCM at 8 kHz."""


def cut_short(path: Path, *, lost: int = 0) -> None:
    """Leave what a killed process leaves: 2.5 s, a header of 2 s, the last ``lost`` bytes unwritten."""
    file = path.open("w+b")
    wav = WavWriter(file, channels=2)
    wav.write(SECOND)
    wav.write(SECOND)
    wav.write(SECOND[:16_000])
    file.flush()
    file.truncate(path.stat().st_size - lost)
    file.close()


@pytest.mark.parametrize(
    ("lost", "seconds"), [(0, 2.5), (1, 2.5 - 1 / 8000), (3, 2.5 - 1 / 8000), (16_000, 2.0)]
)
def test_the_header_tells_all_that_is_there(tmp_path: Path, lost: int, seconds: float) -> None:
    path = tmp_path / "call_1.wav"
    cut_short(path, lost=lost)
    assert read_wav(path).seconds == 2.0, "so it was left"
    assert repair_wav(path) == seconds
    wav = read_wav(path)
    assert wav.seconds == seconds
    assert wav.data == (SECOND * 3)[: len(wav.data)]
    mended = path.read_bytes()
    assert int.from_bytes(mended[4:8], "little") == len(mended) - 8
    assert repair_wav(path) == seconds
    assert path.read_bytes() == mended


def test_a_file_that_lost_audio_that_its_header_had_told(tmp_path: Path) -> None:
    path = tmp_path / "call_1.wav"
    cut_short(path, lost=48_000)  # the header had been written, the audio had not: a lost page
    assert repair_wav(path) == 1.0
    assert read_wav(path).seconds == 1.0


def test_an_empty_recording_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "call_1.wav"
    WavWriter(path, channels=2).close()
    assert repair_wav(path) == 0.0


@pytest.mark.parametrize("content", [b"", b"RIFF", b"RIFF" + bytes(60), b"OggS" + bytes(100)])
def test_what_is_no_recording_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "call_1.wav"
    path.write_bytes(content)
    with pytest.raises(MediaError):
        repair_wav(path)
    assert path.read_bytes() == content


def test_links_are_not_followed(tmp_path: Path) -> None:
    cut_short(tmp_path / "elsewhere.wav")
    before = (tmp_path / "elsewhere.wav").read_bytes()
    (tmp_path / "call_1.wav").symlink_to(tmp_path / "elsewhere.wav")
    with pytest.raises(OSError):
        repair_wav(tmp_path / "call_1.wav")
    assert (tmp_path / "elsewhere.wav").read_bytes() == before
