"""Recordings as Opus: as long as they were, each side on its own side, and proven to be."""

from __future__ import annotations

import array
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from voiceagent.errors import MediaError
from voiceagent.media.levels import pcm_dbfs
from voiceagent.media.tones import sine
from voiceagent.media.wav import WavWriter, interleave
from voiceagent.records import opus
from voiceagent.records.opus import encode, encode_apart

av = pytest.importorskip("av", reason="PyAV is not installed: recordings as Opus are not tested")


def recording(path: Path, *, left: bytes, right: bytes) -> Path:
    with WavWriter(path, channels=2) as wav:
        wav.write(interleave(left, right, 2))
    return path


def sides(path: Path) -> tuple[bytes, bytes]:
    """Decode to 16-bit PCM of each side."""
    both = array.array("h")
    with av.open(str(path)) as file:
        resampler = av.AudioResampler(format="s16", layout="stereo", rate=8000)
        for frame in file.decode(audio=0):
            for out in resampler.resample(frame):
                both.frombytes(bytes(out.planes[0])[: 4 * out.samples])
    return both[0::2].tobytes(), both[1::2].tobytes()


def test_sides_stay_apart_and_the_length_stays(tmp_path: Path) -> None:
    tone, still = sine(440, 1500), bytes(2 * 12_000)
    wav = recording(tmp_path / "a.wav", left=tone + still, right=still + sine(1000, 1500))
    done = encode(wav, tmp_path / "a.opus")
    assert done.seconds == pytest.approx(3.0, abs=0.06)
    assert done.bytes == (tmp_path / "a.opus").stat().st_size < wav.stat().st_size / 6
    assert done.sha256 == hashlib.sha256((tmp_path / "a.opus").read_bytes()).hexdigest()
    caller, agent = sides(tmp_path / "a.opus")
    first, second = slice(3200, 20_800), slice(27_200, 44_800)
    """Bytes of the middle of each half, the seam left out."""
    assert pcm_dbfs(caller[first]) - pcm_dbfs(agent[first]) > 20
    assert pcm_dbfs(agent[second]) - pcm_dbfs(caller[second]) > 20


async def test_in_a_process_of_its_own_it_is_the_same(tmp_path: Path) -> None:
    wav = recording(tmp_path / "a.wav", left=sine(440, 500), right=sine(300, 500))
    apart = await encode_apart(wav, tmp_path / "a.opus")
    assert apart.seconds == pytest.approx(0.5, abs=0.06)
    assert apart.sha256 == hashlib.sha256((tmp_path / "a.opus").read_bytes()).hexdigest()
    with pytest.raises(MediaError, match="Invalid data"):
        (tmp_path / "b.wav").write_bytes(os.urandom(2000))
        await encode_apart(tmp_path / "b.wav", tmp_path / "b.opus")


def test_a_result_of_another_length_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wav = recording(tmp_path / "a.wav", left=sine(440, 500), right=sine(300, 500))
    monkeypatch.setattr(opus, "TOLERANCE_S", -1.0)
    with pytest.raises(MediaError, match=r"0\.500 s became"):
        encode(wav, tmp_path / "a.opus")


PARENT = """
import asyncio, sys
from pathlib import Path
from voiceagent.records.opus import encode_apart

asyncio.run(encode_apart(Path(sys.argv[1]), Path(sys.argv[2])))
"""


def children_of(pid: int) -> list[int]:
    found: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="Linux only")
def test_the_encoder_ends_with_the_service_that_was_killed(tmp_path: Path) -> None:
    # An encoder that waits for ever: its input is a pipe that nobody writes into.
    pipe = tmp_path / "call_1.wav"
    os.mkfifo(pipe)
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(pipe), str(tmp_path / "a.opus")])
    try:
        deadline = time.monotonic() + 90
        writer = None
        while writer is None:  # it has opened the pipe: it is at work
            assert time.monotonic() < deadline
            try:
                writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:
                time.sleep(0.02)
        [encoder] = children_of(parent.pid)
        assert os.getpriority(os.PRIO_PROCESS, encoder) == 19
        parent.kill()
        parent.wait()
        while Path(f"/proc/{encoder}").exists() and "\tZ" not in status_of(encoder):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.close(writer)
    finally:
        parent.kill()
        parent.wait()


def status_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "State:\tZ"
