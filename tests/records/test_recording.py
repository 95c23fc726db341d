"""The writer of recordings: files that play at any moment, for their owner only, and disks that fail."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from voiceagent.media import g711
from voiceagent.media.wav import WavWriter, read_wav
from voiceagent.records import recording
from voiceagent.records.recording import (
    RecordingFailed,
    RecordingFinished,
    RecordingNews,
    RecordingWriter,
    Unkept,
    stereo_pcm,
)

LEFT, RIGHT = bytes(range(256)) * 50, bytes(reversed(range(256))) * 50


def told() -> tuple[asyncio.Future[RecordingNews], Callable[[RecordingNews], None]]:
    news: asyncio.Future[RecordingNews] = asyncio.get_running_loop().create_future()
    return news, news.set_result


async def recorded(folder: Path, file: str = "one.wav", law: g711.Law = "ulaw") -> RecordingNews:
    writer = RecordingWriter(folder)
    news, tell = told()
    try:
        sink = writer.start(file, law, tell)
        for at in range(0, len(LEFT), 1600):
            sink.write(LEFT[at : at + 1600], RIGHT[at : at + 1600])
        sink.finish()
        return await news
    finally:
        await asyncio.to_thread(writer.close)


@pytest.mark.parametrize("law", ["ulaw", "alaw"])
async def test_a_recording_is_a_stereo_file_that_every_player_opens(tmp_path: Path, law: g711.Law) -> None:
    folder = tmp_path / "deep" / "recordings"
    news = await recorded(folder, law=law)
    path = folder / "one.wav"
    wav = read_wav(path)
    assert (wav.rate, wav.channels, wav.encoding) == (8000, 2, "pcm")
    assert wav.channel(0) == g711.decode(LEFT, law)
    assert wav.channel(1) == g711.decode(RIGHT, law)
    raw = path.read_bytes()
    digest = hashlib.sha256(raw).hexdigest()
    assert news == RecordingFinished(len(LEFT) / 8000, len(raw), digest, 0.0)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_interleaving_is_that_of_the_decoder() -> None:
    every = bytes(range(256))
    for law in ("ulaw", "alaw"):
        pcm = stereo_pcm(every, every[::-1], law)
        assert pcm[0::4] + pcm[1::4] == g711.decode(every, law)[0::2] + g711.decode(every, law)[1::2]
        other = g711.decode(every[::-1], law)
        assert pcm[2::4] + pcm[3::4] == other[0::2] + other[1::2]


async def test_a_killed_process_leaves_a_file_that_plays(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path)
    fence, tell = told()
    sink = writer.start("killed.wav", "ulaw", lambda news: None)
    for _ in range(5):
        sink.write(LEFT[:8000], RIGHT[:8000])
    # Another recording that is complete says that all before it has been written.
    writer.start("fence.wav", "ulaw", tell).finish()
    await fence
    copy = (tmp_path / "killed.wav").read_bytes()
    assert len(read_wav(copy).data) == 5 * 8000 * 4, "the header is right, though nobody has completed it"
    await asyncio.to_thread(writer.close)


async def test_a_file_that_is_there_already_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "one.wav").write_text("mine")
    news = await recorded(tmp_path)
    assert news == RecordingFailed("FileExistsError: File exists")
    assert (tmp_path / "one.wav").read_text() == "mine"
    (tmp_path / "two.wav").symlink_to(tmp_path / "elsewhere.wav")
    assert isinstance(await recorded(tmp_path, "two.wav"), RecordingFailed)
    assert not (tmp_path / "elsewhere.wav").exists()


async def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    news = await recorded(tmp_path / "file" / "recordings")
    assert news == RecordingFailed("NotADirectoryError: Not a directory")


async def test_a_full_disk_ends_one_recording_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = WavWriter.write

    def full(self: WavWriter, samples: bytes) -> None:
        if self.seconds >= 1.0 and samples[:1] == b"\x00":
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, samples)

    monkeypatch.setattr(WavWriter, "write", full)
    writer = RecordingWriter(tmp_path)
    (first, tell_first), (second, tell_second) = told(), told()
    silent, loud = writer.start("a.wav", "ulaw", tell_first), writer.start("b.wav", "ulaw", tell_second)
    for _ in range(5):
        silent.write(b"\xff" * 8000, b"\xff" * 8000)
        loud.write(b"\x00" * 8000, b"\x00" * 8000)
    silent.finish()
    loud.finish()
    assert await first == RecordingFailed("OSError: No space left on device")
    assert isinstance(await second, RecordingFinished)
    assert read_wav(tmp_path / "a.wav").seconds == 1.0, "what was written before plays"
    await asyncio.to_thread(writer.close)


async def test_a_slow_disk_costs_audio_but_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "QUEUE_LIMIT", 0)
    writer = RecordingWriter(tmp_path)
    news, tell = told()
    sink = writer.start("slow.wav", "ulaw", tell)
    sink.write(LEFT[:4000], RIGHT[:4000])
    sink.write(LEFT[:4000], RIGHT[:4000])
    monkeypatch.setattr(recording, "QUEUE_LIMIT", 1000)
    sink.write(LEFT[:8000], RIGHT[:8000])
    sink.finish()
    finished: Any = await news
    dropped = round(finished.dropped_s * 8000)
    assert finished.seconds == 2.0
    assert dropped in (4000, 8000), "the queue may have run empty in between"
    left = read_wav(tmp_path / "slow.wav").channel(0)
    assert left[-16000:] == g711.decode(LEFT[:8000])
    assert left[8000:16000] == bytes(8000)
    await asyncio.to_thread(writer.close)


async def test_what_is_open_at_the_end_is_completed_and_told(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path)
    news, tell = told()
    writer.start("open.wav", "ulaw", tell).write(LEFT, RIGHT)
    await asyncio.to_thread(writer.close)
    assert isinstance(await news, RecordingFinished)
    assert read_wav(tmp_path / "open.wav").seconds == len(LEFT) / 8000
    writer.close()
    assert not (tmp_path / "never").exists()
    RecordingWriter(tmp_path / "never").close()
    assert not (tmp_path / "never").exists(), "without a recording there is neither thread nor folder"


async def test_a_recording_that_nobody_keeps_knows_its_length() -> None:
    news: list[RecordingNews] = []
    sink = Unkept().start("x.wav", "ulaw", news.append)
    sink.write(LEFT, RIGHT)
    sink.finish()
    assert news == [], "told later, as by a writer"
    await asyncio.sleep(0)
    assert news == [RecordingFinished(len(LEFT) / 8000, 0, "", 0.0)]
