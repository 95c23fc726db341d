"""A real call with the embedded provider: a PIN that nobody sees but the flow, and a tool that looks up."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.kit.service import service, until
from voiceagent.cli.main import app
from voiceagent.console.ports import CallView
from voiceagent.ivr.ports import HIDDEN
from voiceagent.media.g711 import Law
from voiceagent.media.tones import DtmfDetector
from voiceagent.phone.phone import Phone, PhoneCall
from voiceagent.records.journal import read_journal

pytestmark = pytest.mark.loopback

PIN = "739140628517"
"""So long that no numbers of a real call, its ports and times and ids, have it by chance."""
FLOW = f"""
from voiceagent.ivr import Call, Digits, ToolContext, flow, tool

@tool(timeout_s=5)
async def account_balance(account: str, run: ToolContext) -> dict[str, str]:
    \"\"\"Look up the balance of a customer's account by its six digit number.\"\"\"
    return {{"balance": f"42 in {{run.step}}"}}

@flow("bank", numbers=["100"])
async def bank(call: Call) -> None:
    await call.record()
    keys = Digits({len(PIN)})
    pin = await call.collect("Ask for the PIN.", secret=True, digits=keys, no_input_s=30, attempts=1)
    right = pin is not None and pin.get_secret_value() == "{PIN}"
    call.step("account")
    await call.respond("Look up the balance of account 481516 and tell the caller.", tools=[account_balance])
    await call.hangup("Right." if right else "Wrong.")
"""


async def press(call: PhoneCall, way: str) -> None:
    """Press the keys of the PIN as this phone does."""
    if way != "info":
        await call.press(PIN)
        return
    for key in PIN:
        body = f"Signal={key}\r\nDuration=100\r\n".encode()
        call._transport.send_info(call._leg, "application/dtmf-relay", body)  # pyright: ignore[reportPrivateUsage]
        await asyncio.sleep(0.2)


def keys_heard(wav: Path) -> str:
    """Return the keys whose tones are in the caller's side of a recording."""
    data = wav.read_bytes()
    at = data.index(b"data") + 8
    law: Law = "alaw" if data[20] == 6 else "ulaw"
    return DtmfDetector(law).feed(data[at::2])


TRIES = 3
"""So often a call is made: a busy machine garbles tones, as a bad line does."""


async def one_call(folder: Path, way: str) -> tuple[CallView, list[Any], str]:
    """Live a call in a service of its own; return how it stands at its end, its events and the figures."""
    folder.mkdir()  # noqa: ASYNC240 - a local folder, once
    path = folder / "flows.py"
    path.write_text(FLOW, encoding="utf-8")
    events: list[Any] = []
    records = str(folder / "recordings")
    async with service(folder, flows=[str(path)], recordings_dir=records) as running, Phone() as phone:
        assert running.addresses is not None
        hub = running.directory.events(after=0)

        async def watch() -> None:
            events.extend([event async for event in hub])

        watching = asyncio.create_task(watch())
        call = phone.dial(f"sip:100@{running.addresses.sip}")
        await call.answered()
        await call.until_answered_in_words()
        await press(call, way)
        await call.over(60)
        await until(lambda: not running.directory.live)
        view = running.directory.call(running.directory.calls()[0].id)
        figures = running.metrics.render()
    await watching
    return view, events, figures


@pytest.mark.parametrize("way", ["rtp", "info", "tones"])
async def test_a_pin_and_a_tool_over_real_sockets(
    way: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the keys come, also as tones in the sound: nobody but the flow gets to know them."""
    caplog.set_level(logging.DEBUG)
    if way == "tones":
        offer = PhoneCall.begin
        plain = lambda call: offer(call).replace(b"telephone-event", b"x-no-event")  # noqa: E731
        monkeypatch.setattr(PhoneCall, "begin", plain)
    for attempt in range(TRIES if way == "tones" else 1):
        folder = tmp_path / str(attempt)
        view, events, figures = await one_call(folder, way)
        journal = next((folder / "journals").glob("*.jsonl"))
        told = [
            (await asyncio.to_thread(CliRunner().invoke, app, [verb, str(journal)])).output
            for verb in ("explain", "replay")
        ]
        assert all(told)
        written = journal.read_text(encoding="utf-8")
        for known in (written, caplog.text, figures, repr(view), *map(repr, events), *told):
            assert re.search(r"[^0-9A-Za-z]{0,4}".join(PIN), known) is None
        assert keys_heard(next((folder / "recordings").glob("*.wav"))) == ""
        if any("Right" in line.text for line in view.transcript):
            break

    assert view.outcome is not None
    assert view.outcome["reason"] == "completed"
    entries = list(read_journal(journal))
    lines = [line.text for line in view.transcript]
    assert any("42 in account" in line for line in lines)
    assert any("Right" in line for line in lines), "the flow itself knows the PIN"
    ended = [entry for entry in entries if entry["type"] == "tool.ended"]
    assert [(one["tool"], one["ok"]) for one in ended] == [("account_balance", True)]

    keys = [entry["digit"] for entry in entries if "digit" in entry]
    keys += [json.loads(json.dumps(event.data))["digit"] for event in events if event.type == "caller.digit"]
    assert len(keys) == 3 * len(PIN), "as inputs, as facts, and on the console"
    assert set(keys) == {HIDDEN}
