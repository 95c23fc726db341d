"""The service as a process of its own: start, mistakes, signals, and a death without warning."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.kit.service import PATIENT
from voiceagent.call.apology import apology
from voiceagent.errors import SipError
from voiceagent.phone.phone import Phone, PhoneCall
from voiceagent.records.journal import read_journal

pytestmark = pytest.mark.loopback

FLOW = """
import asyncio
from voiceagent.ivr import Call, flow

@flow("sleeper", numbers=["*"])
async def sleeper(call: Call) -> None:
    await call.say("One two three four five six seven eight nine ten eleven twelve thirteen fourteen.")
    await asyncio.Event().wait()
"""
QUIET = (
    *("engine.voice=tone", "engine.recogniser=canned", "engine.vad=energy", "realtime.provider=embedded"),
    *(f"{name}={value}" for name, value in PATIENT.items()),
)


@dataclass
class Child:
    """A running ``voiceagent serve --json``."""

    process: asyncio.subprocess.Process
    folder: Path
    listening: dict[str, Any]
    started_s: float
    output: list[str] = field(default_factory=list[str])

    @property
    def target(self) -> str:
        return f"sip:100@{self.listening['sip']}"

    def journal(self) -> list[dict[str, Any]]:
        paths = list((self.folder / "journals").glob("*.jsonl"))
        assert len(paths) <= 1
        return list(read_journal(paths[0])) if paths else []

    async def ended_journal(self) -> list[dict[str, Any]]:
        """The journal, once its last entry is on disk."""
        async with asyncio.timeout(45):
            while not (found := self.journal()) or found[-1]["type"] != "call.ended":  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return found

    async def status(self, within_s: float = 60.0) -> int:
        async with asyncio.timeout(within_s):
            return await self.process.wait()


def arguments(folder: Path, *settings: str) -> list[str]:
    flow = folder / "flow.py"
    flow.write_text(FLOW, encoding="utf-8")
    pairs = (f"journal_dir={folder / 'journals'}", "sip.port=0", "console.port=0", *QUIET, *settings)
    chosen = [part for pair in pairs for part in ("--set", pair)]
    return [sys.executable, "-m", "voiceagent", "serve", "--json", "--flow", str(flow), *chosen]


def clean_environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("VOICEAGENT_") and name != "OPENAI_API_KEY"
    }


@asynccontextmanager
async def serving(
    folder: Path, *settings: str, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Child]:
    began = time.perf_counter()
    with (folder / "stderr.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *arguments(folder, *settings),
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env={**clean_environment(), **(environment or {})},
        )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            line = await process.stdout.readline()
        assert line, (folder / "stderr.log").read_text()
        yield Child(process, folder, json.loads(line), time.perf_counter() - began)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.communicate()


@asynccontextmanager
async def in_a_call(folder: Path, *settings: str) -> AsyncIterator[tuple[Child, Phone, PhoneCall]]:
    async with serving(folder, *settings) as child, Phone() as phone:
        call = phone.dial(child.target)
        await call.answered(45)
        await call.until_speaking(45)
        yield child, phone, call


async def refused_status(phone: Phone, child: Child) -> int:
    with pytest.raises(SipError) as refused:
        await phone.dial(child.target).answered(45)
    return refused.value.status


async def until_draining(phone: Phone, child: Child) -> int:
    """Dial until a call is refused: the signal arrives when it arrives."""
    async with asyncio.timeout(45):
        while True:
            attempt = phone.dial(child.target)
            try:
                await attempt.answered(45)
            except SipError as refused:
                return refused.status
            attempt.hang_up()
            await attempt.over()


async def test_it_says_where_it_listens_and_takes_a_call(tmp_path: Path) -> None:
    async with in_a_call(tmp_path) as (child, _, call):
        assert child.listening["event"] == "listening"
        assert child.listening["provider"] == "embedded"
        assert str(child.listening["console"]).startswith("http://127.0.0.1:")
        assert len(child.listening["token"]) >= 24
        call.hang_up()
        assert (await call.over()).by == "us"
        print(f"process start to listening: {child.started_s:.2f} s")


@pytest.mark.parametrize(
    ("kind", "setting"), [(socket.SOCK_DGRAM, "sip.port"), (socket.SOCK_STREAM, "console.port")]
)
async def test_a_taken_port_is_one_line_that_names_the_setting(
    tmp_path: Path, kind: int, setting: str
) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        command = [
            part for part in arguments(tmp_path, f"{setting}={taken.getsockname()[1]}") if part != "--json"
        ]
        process = await asyncio.create_subprocess_exec(
            *command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=clean_environment(),
        )
        async with asyncio.timeout(60):
            output, errors = await process.communicate()
    assert process.returncode == 2
    lines = (output + errors).decode().strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"voiceagent: {setting}: ")


async def test_sigterm_lets_the_running_call_end_and_takes_no_other(tmp_path: Path) -> None:
    async with in_a_call(tmp_path) as (child, phone, call):
        child.process.send_signal(signal.SIGTERM)
        assert await until_draining(phone, child) == 503
        assert not call.ended.done()
        assert child.process.returncode is None
        call.hang_up()
        assert (await call.over()).by == "us"
        assert await child.status() == 0


async def test_sigterm_without_calls_ends_at_once_and_the_service_manager_follows_it(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        told: list[str] = []

        async def until_told(line: str) -> None:
            async with asyncio.timeout(60):
                while line not in told:
                    told.extend((await loop.sock_recv(manager, 4096)).decode().splitlines())

        loop = asyncio.get_running_loop()
        watch = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
        async with serving(tmp_path, environment=watch) as child:
            await until_told("READY=1")
            told.clear()
            await until_told("WATCHDOG=1")
            child.process.send_signal(signal.SIGTERM)
            await until_told("STOPPING=1")
            assert await child.status() == 0


async def test_a_second_sigterm_ends_the_call_with_a_bye_and_a_record(tmp_path: Path) -> None:
    async with in_a_call(tmp_path) as (child, phone, call):
        child.process.send_signal(signal.SIGTERM)
        assert await until_draining(phone, child) == 503
        child.process.send_signal(signal.SIGTERM)
        assert (await call.over(45)).by == "peer"
        assert await child.status() == 0
        journals = [list(read_journal(path)) for path in (tmp_path / "journals").glob("*.jsonl")]
    assert journals
    assert {entries[-1]["type"] for entries in journals} == {"call.ended"}
    assert "shut_down" in {entries[-1]["reason"] for entries in journals}


async def test_at_the_limit_of_the_drain_the_caller_hears_a_goodbye(tmp_path: Path) -> None:
    limit = ("call.drain_limit_s=0.2", "call.drain_sentence=We close now.")
    async with in_a_call(tmp_path, *limit) as (child, _, call):
        child.process.send_signal(signal.SIGINT)
        assert (await call.over(45)).by == "peer"
        assert await child.status() == 0
        (entries,) = [list(read_journal(path)) for path in (tmp_path / "journals").glob("*.jsonl")]
    assert (entries[-1]["type"], entries[-1]["reason"]) == ("call.ended", "drained")
    kinds = [entry["type"] for entry in entries]
    assert "apology" not in kinds, "the agent itself said it"
    assert "We close now." in json.dumps(entries)


async def test_the_console_drains_it_as_the_signal_does(tmp_path: Path) -> None:
    async with in_a_call(tmp_path) as (child, phone, call):
        url = str(child.listening["console"])
        command = [sys.executable, "-m", "voiceagent", "drain", "--url", url]
        environment = {**clean_environment(), "VOICEAGENT_CONSOLE__TOKEN": str(child.listening["token"])}

        async def drain(*more: str) -> str:
            process = await asyncio.create_subprocess_exec(
                *command, *more, stdout=asyncio.subprocess.PIPE, env=environment
            )
            output, _ = await process.communicate()
            assert process.returncode == 0
            return output.decode()

        headers = {"Authorization": f"Bearer {child.listening['token']}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as console:
            assert json.loads(await drain("--json"))["state"] == "draining"
            ready = await console.get("/readyz")
            assert (ready.status_code, ready.json()["ready"]) == (503, False)
            assert int(ready.headers["Retry-After"]) > 0
            assert await refused_status(phone, child) == 503
            assert (await console.delete("/v1/drain")).json()["state"] == "serving"
            assert (await console.get("/readyz")).status_code == 200
            second = phone.dial(child.target)
            await second.answered(45)
        waiting = asyncio.ensure_future(drain("--wait"))
        assert await until_draining(phone, child) == 503
        for one in (call, second):
            assert not one.ended.done()
            one.hang_up()
            assert (await one.over()).by == "us"
        assert await child.status() == 0
        assert (await waiting).endswith("It has gone.\n")


async def test_a_killed_process_leaves_a_readable_journal(tmp_path: Path) -> None:
    async with in_a_call(tmp_path) as (child, _, _):
        async with asyncio.timeout(45):
            while not any(entry["type"] == "call.state" for entry in child.journal()):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        child.process.kill()
        assert await child.status() == -signal.SIGKILL
        entries = child.journal()
    assert [entry["type"] for entry in entries[:2]] == ["in.call", "call.offered"]
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    assert entries[-1]["type"] != "call.ended"


async def test_a_killed_provider_is_apologised_for_in_mid_sentence(tmp_path: Path) -> None:
    """The provider dies while it speaks: the caller hears the recorded apology to its end, then the BYE."""
    quiet = ("--voice", "tone", "--recogniser", "canned")
    engine = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voiceagent", "engine", "--port", "0", "--json", *quiet),
        stdout=asyncio.subprocess.PIPE,
        env=clean_environment(),
    )
    assert engine.stdout is not None
    try:
        async with asyncio.timeout(60):
            url = json.loads(await engine.stdout.readline())["url"]
        async with in_a_call(tmp_path, f"realtime.url={url}") as (child, _, call):
            assert child.listening["engine"] is None
            engine.kill()
            ended = await call.over(45)
            entries = await child.ended_journal()
            _, heard = call.timeline.stereo(0xFF)
    finally:
        if engine.returncode is None:
            engine.kill()
        await engine.communicate()
    assert ended.by == "peer"
    assert (entries[-1]["outcome"], entries[-1]["reason"]) == ("provider", "provider_lost")
    words = apology("audio/pcmu").rstrip(b"\xff")
    # By frames: on a busy machine the phone's jitter buffer conceals one now and then.
    assert share_heard(words[8000:16000], heard) > 0.7
    assert share_heard(words[-8000:-2000], heard) > 0.7


def share_heard(words: bytes, heard: bytes) -> float:
    """Return the share of ``words``' frames of 20 ms that stand in ``heard``, one after the other."""
    frames = [words[at : at + 160] for at in range(0, len(words) - 159, 160)]
    loud = [frame for frame in frames if len(set(frame)) > 8]
    found, after = 0, 0
    for frame in loud:
        at = heard.find(frame, after)
        if at >= 0:
            found, after = found + 1, at + len(frame)
    return found / len(loud)
