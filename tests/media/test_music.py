"""Music on hold: the built-in melody, WAV files of any rate, the endless loop."""

from __future__ import annotations

import array
import io
import itertools

import pytest

from voiceagent.errors import MediaError
from voiceagent.media import g711
from voiceagent.media.music import HoldMusic, MusicLoop, melody, pcm_of
from voiceagent.media.tones import sine
from voiceagent.media.wav import Wav, WavWriter, read_wav


def peak(pcm: bytes) -> int:
    return max(abs(sample) for sample in array.array("h", pcm))


def crossings(pcm: bytes) -> int:
    samples = array.array("h", pcm)
    return sum((a < 0) != (b < 0) for a, b in itertools.pairwise(samples))


def test_the_melody_is_soft_and_begins_and_ends_in_silence() -> None:
    pcm = melody()
    assert 500 < peak(pcm) < 3000
    assert abs(array.array("h", pcm)[0]) < 10
    assert abs(array.array("h", pcm)[-1]) < 10


@pytest.mark.parametrize("law", ["ulaw", "alaw"])
def test_a_loop_goes_round_without_a_seam(law: g711.Law) -> None:
    loop = HoldMusic(sine(400, 50)).loop(law)
    round_one = [loop() for _ in range(3)]
    assert all(len(frame) == 160 for frame in round_one)
    assert [loop() for _ in range(3)] == round_one
    assert round_one[2].endswith(bytes((g711.silence_byte(law),)) * 80)  # 50 ms are two frames and a half


def test_each_caller_hears_it_from_the_beginning() -> None:
    music = HoldMusic()
    first = music.loop("ulaw")
    for _ in range(5):
        first()
    assert music.loop("ulaw")() != first()


@pytest.mark.parametrize("rate", [4000, 8000, 16000, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_file_of_any_rate_keeps_its_pitch(rate: int, channels: int) -> None:
    tone = sine(440, 500, rate=rate)
    data = tone if channels == 1 else b"".join(tone[at : at + 2] * 2 for at in range(0, len(tone), 2))
    pcm = pcm_of(Wav(rate, channels, "pcm", data))
    assert len(pcm) == 8000
    assert abs(crossings(pcm) - 440) <= 4


def test_a_mu_law_file_is_read_too() -> None:
    file = io.BytesIO()
    with WavWriter(file, encoding="ulaw") as writer:
        writer.write(g711.encode(sine(440, 100), "ulaw"))
    assert abs(crossings(pcm_of(read_wav(file.getvalue()))) - 88) <= 2


@pytest.mark.parametrize("samples", [0, 10])
def test_a_file_without_sound_is_refused(samples: int) -> None:
    with pytest.raises(MediaError, match="shorter"):
        pcm_of(Wav(8000, 1, "pcm", bytes(2 * samples)))


def test_a_file_that_would_fill_the_memory_is_refused() -> None:
    with pytest.raises(MediaError, match="longer"):
        pcm_of(Wav(8000, 1, "ulaw", bytes(8000 * 601)))


@pytest.mark.parametrize("audio", [b"", b"x" * 100])
def test_a_loop_needs_whole_frames(audio: bytes) -> None:
    with pytest.raises(ValueError, match="whole"):
        MusicLoop(audio)
