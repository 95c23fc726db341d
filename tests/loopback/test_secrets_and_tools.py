"""A real call with the embedded provider: a PIN that nobody sees but the flow, and a tool that looks up."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from tests.kit.service import service, until
from voiceagent.ivr.ports import HIDDEN
from voiceagent.phone.phone import Phone
from voiceagent.records.journal import read_journal

pytestmark = pytest.mark.loopback

PIN = "73914"
FLOW = f"""
from voiceagent.ivr import Call, Digits, ToolContext, flow, tool

@tool(timeout_s=5)
async def account_balance(account: str, run: ToolContext) -> dict[str, str]:
    \"\"\"Look up the balance of a customer's account by its six digit number.\"\"\"
    return {{"balance": f"42 in {{run.step}}"}}

@flow("bank", numbers=["100"])
async def bank(call: Call) -> None:
    pin = await call.collect("Ask for the PIN.", secret=True, digits=Digits(5), no_input_s=30)
    right = pin is not None and pin.get_secret_value() == "{PIN}"
    call.step("account")
    await call.respond("Look up the balance of account 481516 and tell the caller.", tools=[account_balance])
    await call.hangup("Right." if right else "Wrong.")
"""


async def test_a_pin_and_a_tool_over_real_sockets(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "flows.py"
    path.write_text(FLOW, encoding="utf-8")
    events: list[Any] = []
    async with service(tmp_path, flows=[str(path)]) as running, Phone() as phone:
        assert running.addresses is not None
        hub = running.directory.events(after=0)

        async def watch() -> None:
            events.extend([event async for event in hub])

        watching = asyncio.create_task(watch())
        call = phone.dial(f"sip:100@{running.addresses.sip}")
        await call.answered()
        await call.until_answered_in_words()
        await call.press(PIN)
        await call.over(30)
        await until(lambda: not running.directory.live)
        view = running.directory.call(running.directory.calls()[0].id)
    await watching

    assert view.outcome is not None
    assert view.outcome["reason"] == "completed"
    journal = next((tmp_path / "journals").glob("*.jsonl"))
    entries = list(read_journal(journal))
    lines = [line.text for line in view.transcript]
    assert any("42 in account" in line for line in lines)
    assert any("Right" in line for line in lines), "the flow itself knows the PIN"
    ended = [entry for entry in entries if entry["type"] == "tool.ended"]
    assert [(one["tool"], one["ok"]) for one in ended] == [("account_balance", True)]

    known = "\n".join([journal.read_text(encoding="utf-8"), caplog.text, *map(repr, events)])
    assert PIN not in known
    keys = [entry["digit"] for entry in entries if "digit" in entry]
    keys += [json.loads(json.dumps(event.data))["digit"] for event in events if event.type == "caller.digit"]
    assert len(keys) == 3 * len(PIN), "as inputs, as facts, and on the console"
    assert set(keys) == {HIDDEN}
