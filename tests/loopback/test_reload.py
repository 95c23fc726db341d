"""Flows read again under real calls: the next call speaks anew, the running one goes on as it began."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import json
import os
import signal
import sys
import termios
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.kit.service import operator, service, until
from tests.loopback.test_process import clean_environment
from voiceagent.app.service import Service
from voiceagent.cli.main import app
from voiceagent.console.ports import FlowsRefused
from voiceagent.ivr.modules import PREFIX
from voiceagent.phone.phone import Phone, PhoneCall
from voiceagent.records.journal import read_journal

pytestmark = pytest.mark.loopback

DESK = """
from voiceagent.ivr import Call, Digits, flow

import words


@flow("desk", numbers=["100"])
async def desk(call: Call) -> None:
    await call.say(words.FIRST)
    key = await call.collect("Ask for a key.", digits=Digits(1), no_input_s=60)
    await call.hangup(f"{words.LAST} {key or 'nobody'}.")
"""
QUICK = """
from voiceagent.ivr import Call, flow

from words import FIRST


@flow("quick", numbers=["*"])
async def quick(call: Call) -> None:
    await call.note(FIRST)
"""


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, desk=DESK, words="FIRST = 'Old hello.'\nLAST = 'Old goodbye'")
    return tmp_path


def offer_in(journal: Path) -> dict[str, Any]:
    return next(entry for entry in read_journal(journal) if entry["type"] == "call.offered")


def said(running: Service, call_id: str) -> list[str]:
    return [line.text for line in running.directory.call(call_id).transcript if line.speaker == "agent"]


async def begun(running: Service, phone: Phone) -> tuple[PhoneCall, str]:
    """A call that has heard its greeting and is asked for a key."""
    assert running.addresses is not None
    before = {one.id for one in running.directory.live}
    call = phone.dial(f"sip:100@{running.addresses.sip}")
    await call.answered()
    (call_id,) = {one.id for one in running.directory.live} - before
    await until(lambda: running.directory.call(call_id).step == "collect")
    return call, call_id


async def ended(running: Service, call: PhoneCall, call_id: str) -> str:
    """Press a key, hear the goodbye out; returns what was said last."""
    await call.press("5")
    await call.over(45)
    await until(lambda: running.directory.call(call_id).outcome is not None)
    return said(running, call_id)[-1]


async def test_the_next_call_speaks_differently_and_the_running_one_does_not(folder: Path) -> None:
    async with (
        service(folder, flows=[str(folder / "desk.py")]) as running,
        Phone() as phone,
        operator(running) as desk,
    ):
        first, first_id = await begun(running, phone)
        write(folder, words="FIRST = 'New hello.'\nLAST = 'New goodbye'")
        view = (await desk.post("/v1/flows/reload")).json()
        assert (view.get("version"), view.get("loaded_by")) == (2, "first run via api"), view
        second, second_id = await begun(running, phone)

        write(folder, desk=DESK.replace("def desk", "def"))
        refused = await desk.post("/v1/flows/reload")
        assert refused.status_code == 409
        (error,) = refused.json()["errors"]
        assert error["detail"].startswith(f"{folder}/desk.py:8: error:")
        assert (await desk.get("/v1/flows")).json()["refused"]["problems"] == [error["detail"]]
        third, third_id = await begun(running, phone)

        assert said(running, first_id)[0] == "Old hello."
        assert said(running, second_id)[0] == said(running, third_id)[0] == "New hello."
        calls = ((first, first_id), (second, second_id), (third, third_id))
        goodbyes = await asyncio.gather(*(ended(running, call, call_id) for call, call_id in calls))
        assert goodbyes == ["Old goodbye 5.", "New goodbye 5.", "New goodbye 5."]
        journals = [folder / "journals" / f"{one}.jsonl" for one in (first_id, second_id, third_id)]
        offered = [offer_in(one) for one in journals]
    assert [(one["route"], one["flows_version"]) for one in offered] == [
        ("numbers", 1),
        ("numbers", 2),
        ("numbers", 2),
    ]


async def test_two_hundred_reloads_while_calls_come_lose_no_call_and_leave_nothing(tmp_path: Path) -> None:
    write(tmp_path, quick=QUICK, words="FIRST = 'Hello.'")
    async with service(tmp_path, flows=[str(tmp_path / "quick.py")]) as running, Phone() as phone:
        assert running.addresses is not None
        sip = running.addresses.sip
        gc.collect()
        before, reloading = sets_in_the_process(), True

        made = 0

        async def calls() -> None:
            nonlocal made
            while reloading:
                call = phone.dial(f"sip:1@{sip}")
                await call.answered()
                await call.over(45)
                made += 1

        codes: list[weakref.ref[Any]] = []
        callers = [asyncio.ensure_future(calls()) for _ in range(3)]
        for n in range(200):
            broken = n % 10 == 9
            await until(lambda enough=n // 5: made >= enough)
            write(tmp_path, words="FIRST =" if broken else f"FIRST = 'Hello {n}.'")
            with contextlib.suppress(FlowsRefused):
                await running.desk.reload("test")
            codes += [weakref.ref(one.function) for one in running.flows]
        reloading = False
        await asyncio.gather(*callers)
        await until(lambda: not running.directory.live)
        assert made >= 39
        assert running.flows.version == 181
        # The tasks of the last calls hold their flows a moment longer than the directory holds the calls.
        await until(lambda: not running.admission.live and gc.collect() >= 0 and len(alive(codes)) == 1)
        assert len(sets_in_the_process() - before) == 1
        outcomes = {str((one.outcome or {}).get("kind")) for one in running.directory.calls()}
        assert outcomes == {"success"}
    versions = list(_versions(tmp_path / "journals"))  # whole once the service has closed
    assert len(versions) == made
    assert versions == sorted(versions)
    assert len(set(versions)) > 5


def alive(codes: list[weakref.ref[Any]]) -> set[Any]:
    return {code() for code in codes} - {None}


def sets_in_the_process() -> set[str]:
    return {name.partition(".")[0] for name in sys.modules if name.startswith(PREFIX)}


def _versions(journals: Path) -> Iterator[int]:
    """The versions of the flows in the order in which calls were offered."""
    for one in sorted(map(offer_in, journals.glob("*.jsonl")), key=lambda entry: entry["at"]):
        yield one["flows_version"]


UNCALLED = ("realtime.provider=openai", "realtime.api_key=of-nobody")
"""For a service that nobody calls: no provider of its own has to start, and none is asked for anything."""
CONFIG = """
flows = ["{folder}/desk.py"]
journal_dir = "{folder}/journals"

[[routes]]
flow = "desk"
number = "{number}"
"""


async def test_sighup_takes_flows_and_routes_of_the_file_and_names_what_needs_a_restart(folder: Path) -> None:
    config = folder / "voiceagent.toml"
    config.write_text(CONFIG.format(folder=folder, number="7*"), encoding="utf-8")
    pairs = ("sip.port=0", "console.port=0", "console.token=a-token-of-this-test", *UNCALLED)
    chosen = [part for pair in pairs for part in ("--set", pair)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voiceagent", "serve", "--json", "-c", str(config), *chosen),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=clean_environment(),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        listening = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
        config.write_text(
            CONFIG.format(folder=folder, number="8*") + "\n[call]\nmax_calls = 3\n", encoding="utf-8"
        )
        process.send_signal(signal.SIGHUP)
        told = await _said(process.stderr, "flows reloaded")
        assert (told["version"], told["by"], told["needs_restart"]) == (2, "SIGHUP", ["call.max_calls"])

        write(folder, desk="nothing = here")
        command = ("reload", "--url", listening["console"], "--token", "a-token-of-this-test")
        status, text = await _voiceagent(*command)
        assert status == 1
        assert "desk.py declares no flow" in text or "no flow is declared" in text
        write(folder, desk=DESK)
        status, text = await _voiceagent(*command, "--json")
        assert (status, json.loads(text)["version"]) == (0, 3)
        assert json.loads(text)["routes"] == [{"place": 1, "flow": "desk", "when": {"number": ["8*"]}}]

        process.terminate()
        assert await asyncio.wait_for(process.wait(), 60) == 0
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_closing_the_terminal_ends_the_service_as_sigterm_does(folder: Path) -> None:
    master, slave = os.openpty()

    def own_terminal() -> None:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    pairs = ("sip.port=0", "console.port=0", f"journal_dir={folder / 'journals'}", *UNCALLED)
    chosen = [part for pair in pairs for part in ("--set", pair)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voiceagent", "serve", "--json", "-f", str(folder / "desk.py"), *chosen),
        stdin=slave,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=clean_environment(),
        preexec_fn=own_terminal,
    )
    os.close(slave)
    assert process.stdout is not None
    try:
        assert await asyncio.wait_for(process.stdout.readline(), 60)
        os.close(master)
        assert await asyncio.wait_for(process.wait(), 60) == 0
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _said(stream: asyncio.StreamReader, event: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            line = json.loads(await stream.readline())
            if line["event"] == event:
                return dict(line)


async def _voiceagent(*words: str) -> tuple[int, str]:
    result = await asyncio.to_thread(CliRunner().invoke, app, list(words))
    return result.exit_code, result.output
