"""A real call, recorded: the file holds what the phone said and what the phone heard, side by side."""

from __future__ import annotations

import hashlib
import io
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.kit.service import operator, service, until
from voiceagent.media import g711
from voiceagent.media.levels import pcm_dbfs
from voiceagent.media.tones import sine
from voiceagent.media.wav import Wav, read_wav
from voiceagent.observe.metrics import Metrics
from voiceagent.phone.phone import Phone
from voiceagent.records.journal import read_journal
from voiceagent.store import Database, recordings
from voiceagent.store.rebuild import look_through

pytestmark = pytest.mark.loopback

FLOW = """
import asyncio
from voiceagent.ivr import Call, flow

@flow("recorded", numbers=["100"])
async def recorded(call: Call) -> None:
    await call.record("all")
    await call.say("One two three.")
    await call.say("Four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen.")
    await asyncio.sleep(1.5)
    await call.pause_recording()
    await call.say("Nobody hears this again.", interruptible=False)
    await call.resume_recording()
    await call.hangup("Goodbye then.")
"""
SHORT = """
from voiceagent.ivr import Call, flow

@flow("short", numbers=["100"])
async def short(call: Call) -> None:
    await call.record()
    await call.hangup("Bye.")
"""
BLOCK = 320
"""Bytes of 20 ms of 16-bit PCM."""


def loudness(pcm: bytes) -> list[float]:
    """Level above the noise of each 20 ms, 0 for silence."""
    return [max(0.0, 60.0 + pcm_dbfs(pcm[at : at + BLOCK])) for at in range(0, len(pcm) - BLOCK + 1, BLOCK)]


def likeness(one: list[float], two: list[float]) -> float:
    """Correlation of two envelopes at the shift that fits best (-1 to 1)."""
    best = -1.0
    least = 0.8 * min(len(one), len(two))
    for shift in range(-len(two), len(one)):
        left, right = one[max(0, shift) :], two[max(0, -shift) :]
        size = min(len(left), len(right))
        if size < least:
            continue
        left, right = left[:size], right[:size]
        mean_left, mean_right = sum(left) / size, sum(right) / size
        top = sum((a - mean_left) * (b - mean_right) for a, b in zip(left, right, strict=True))
        below = sum((a - mean_left) ** 2 for a in left) * sum((b - mean_right) ** 2 for b in right)
        best = max(best, top / below**0.5 if below else 0.0)
    return best


def loud_s(pcm: bytes) -> float:
    return sum(level > 20 for level in loudness(pcm)) / 50


def entry_of(folder: Path, kind: str) -> Any:
    journal = next((folder / "journals").glob("*.jsonl"))
    return next(one for one in read_journal(journal) if one["type"] == kind)


async def test_both_channels_hold_what_the_phone_said_and_heard(tmp_path: Path) -> None:
    (tmp_path / "flows.py").write_text(FLOW, encoding="utf-8")
    folder = tmp_path / "recordings"
    async with (
        service(
            tmp_path, flows=[str(tmp_path / "flows.py")], recordings_dir=str(folder), engine__voice="auto"
        ) as running,
        Phone() as phone,
    ):
        assert running.addresses is not None
        call = phone.dial(f"sip:100@{running.addresses.sip}")
        await call.answered()
        await call.until_speaking()
        [live] = running.directory.live
        await until(lambda: len(list(live.ledger)) == 2)
        await call.until_speaking()
        await call.wait(0.6)
        await call.play(call.encode(sine(500, 900)))  # cuts the agent
        await call.over(45)
        await until(lambda: not running.directory.live)
        heard_of = call.record(tmp_path / "phone.wav")
    assert heard_of > 2

    [path] = folder.glob("*.wav")
    recording, phone_side = read_wav(path), read_wav(tmp_path / "phone.wav")
    finished = entry_of(tmp_path, "recording.finished")
    assert path.name == finished["file"]
    assert path.name.endswith("-all.wav")
    began = entry_of(tmp_path, "recording.started")["t"]
    assert live.recorder.begun == [pytest.approx(began, abs=0.01)], "a player lays it on the call's own time"
    assert finished["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert finished["seconds"] == pytest.approx(recording.seconds, abs=0.001)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (recording.rate, recording.channels) == (8000, 2)
    store = Database(f"sqlite:///{tmp_path}/journals/voiceagent.db")
    store.open_now()
    [row] = store.run_now(lambda c: recordings.of_call(c, live.id))
    store.close_now()
    assert (row.file, row.location, row.name, row.state) == (path.name, path.name, "all", "finished")
    assert (row.seconds, row.bytes, row.sha256) == (
        finished["seconds"],
        path.stat().st_size,
        finished["sha256"],
    )
    assert row.started_at == pytest.approx(live.started_at + began, abs=0.05)

    # The phone's own tone, on the left and nowhere else.
    tone_s = loud_s(recording.channel(0))
    assert tone_s == pytest.approx(0.9, abs=0.1)
    # The agent, on the right, as the phone heard it: all but what was paused.
    pause = _pause(tmp_path)
    before, after = _parts(recording, pause)
    heard = _as_pcm(phone_side)
    assert loud_s(before) > 0.6, "the first line, and the second until it was cut"
    assert loud_s(after) > 0.3, "the goodbye"
    assert likeness(loudness(heard), loudness(before)) > 0.7
    assert likeness(loudness(heard), loudness(after)) > 0.7
    assert loud_s(heard) - loud_s(before) - loud_s(after) > 0.5, "one line was left out"
    assert recording.seconds == pytest.approx(phone_side.seconds, abs=1.0), "time is kept true"

    database = Database(running.settings.database_url)
    database.open_now()
    found = look_through(database, tmp_path / "journals", write=False)
    database.close_now()
    assert (found.calls, found.agree) == (1, True), f"the journal alone gives the same rows: {found}"


def _as_pcm(wav: Wav) -> bytes:
    assert wav.encoding in ("ulaw", "alaw", "pcm")
    right = wav.channel(1)
    return right if wav.encoding == "pcm" else g711.decode(right, wav.encoding)


def _pause(folder: Path) -> tuple[float, float]:
    began = entry_of(folder, "recording.started")["t"]
    return entry_of(folder, "recording.paused")["t"] - began, entry_of(folder, "recording.resumed")[
        "t"
    ] - began


def _parts(wav: Wav, pause: tuple[float, float]) -> tuple[bytes, bytes]:
    right = wav.channel(1)
    first, last = (round(at * 50) * BLOCK for at in pause)
    assert set(right[first + BLOCK : last - BLOCK]) == {0}, "nothing of either side while it is paused"
    return right[:first], right[last:]


async def test_a_folder_that_cannot_be_written_costs_the_recording_only(tmp_path: Path) -> None:
    (tmp_path / "flows.py").write_text(SHORT, encoding="utf-8")
    (tmp_path / "recordings").write_text("a file, no folder", encoding="utf-8")
    async with (
        service(
            tmp_path, flows=[str(tmp_path / "flows.py")], recordings_dir=str(tmp_path / "recordings")
        ) as running,
        Phone() as phone,
    ):
        assert running.addresses is not None
        call = phone.dial(f"sip:100@{running.addresses.sip}")
        await call.answered()
        ended = await call.over(45)
        await until(lambda: not running.directory.live)
        metrics: Metrics = running.metrics
        await until(lambda: 'voiceagent_recordings_total{what="failed"} 1.0' in metrics.render())
        _, parts = running.directory.ready()
    assert ended.by == "peer"
    assert entry_of(tmp_path, "call.ended")["outcome"] == "success"
    assert entry_of(tmp_path, "recording.failed")["error"] == "FileExistsError: File exists"
    assert "FileExistsError" in parts["recordings"]


async def test_afterwards_it_is_opus_in_the_store_and_plays_from_there(tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="PyAV is not installed: recordings as Opus are not tested")
    pytest.importorskip("obstore", reason="obstore is not installed: object stores are not tested")
    (tmp_path / "flows.py").write_text(SHORT, encoding="utf-8")
    folder, shelf = tmp_path / "recordings", tmp_path / "shelf"
    async with (
        service(
            tmp_path,
            flows=[str(tmp_path / "flows.py")],
            recordings_dir=str(folder),
            recording__format="opus",
            recording__store=f"file://{shelf}",
        ) as running,
        Phone() as phone,
        operator(running) as client,
    ):
        assert running.addresses is not None
        call = phone.dial(f"sip:100@{running.addresses.sip}")
        await call.over(45)
        await until(lambda: list(shelf.glob("*.opus")) and not list(folder.glob("*.opus")))
        await running.archive.flush(45)
        [kept] = (await client.get("/v1/history")).json()["calls"]
        played = await client.get(f"/v1/history/{kept['id']}/recording")
        [row] = await running.database.run(lambda c: recordings.of_call(c, kept["id"]))
    assert played.headers["content-type"] == "audio/ogg"
    with av.open(io.BytesIO(played.content)) as file:
        seconds = sum(frame.samples / frame.sample_rate for frame in file.decode(audio=0))
    finished = entry_of(tmp_path, "recording.finished")
    assert seconds == pytest.approx(finished["seconds"], abs=0.06)
    assert (row.state, row.location) == ("stored", f"file://{shelf}/{kept['id']}.opus")
    assert row.sha256 == hashlib.sha256(played.content).hexdigest() != finished["sha256"]
    assert {path.name for path in folder.iterdir()} == {"recordings.jsonl", "recordings.lock"}
