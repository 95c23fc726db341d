"""The examples called for real: a tool, a secret, a flow in TOML, a warm transfer to a second phone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.kit.service import service, until
from voiceagent.app.service import Service
from voiceagent.phone.phone import Phone, PhoneCall
from voiceagent.records.journal import read_journal

pytestmark = pytest.mark.loopback

EXAMPLES = Path(__file__).parents[2] / "examples"


def copied(name: str, folder: Path, desk: Phone | None = None) -> str:
    """Return a copy of an example, with the desk where the test's phone is."""
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    if desk is not None:
        assert "127.0.0.1:5090" in text
        text = text.replace("127.0.0.1:5090", f"127.0.0.1:{desk.address.port}")
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def dialled(phone: Phone, running: Service, number: str) -> PhoneCall:
    assert running.addresses is not None
    return phone.dial(f"sip:{number}@{running.addresses.sip}")


async def step(running: Service, name: str) -> None:
    """Wait until the call is at a step."""
    await until(lambda: any(call.step == name for call in running.directory.live))


async def over(running: Service) -> str:
    """Wait for the end of the one call; return what the agent has said in it."""
    await until(lambda: not running.directory.live and running.directory.calls(), within_s=60)
    call = running.directory.call(running.directory.calls()[0].id)
    return " ".join(line.text for line in call.transcript if line.speaker == "agent")


def entries(folder: Path, kind: str) -> list[Mapping[str, Any]]:
    found = next((folder / "journals").glob("*.jsonl"))
    return [entry for entry in read_journal(found) if entry["type"] == kind]


def texts(value: Any) -> Iterator[str]:
    """All texts of an entry; numbers are times and sizes."""
    if isinstance(value, Mapping):
        for one in value.values():
            yield from texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)
    elif isinstance(value, str):
        yield value


async def test_an_appointment_is_booked_by_tools(tmp_path: Path) -> None:
    flows = [copied("appointment.py", tmp_path)]
    async with service(tmp_path, flows=flows, call__no_input_s=20) as running, Phone() as phone:
        call = dialled(phone, running, "700")
        await call.answered()
        await step(running, "choose")
        await call.press("1")
        await step(running, "collect")
        await call.press("11052027")
        await step(running, "choose")
        await call.press("2")
        said = await over(running)
    assert "free time in the morning and in the afternoon" in said
    assert "Your appointment is booked" in said
    tools = [(one["tool"], one["ok"]) for one in entries(tmp_path, "tool.ended")]
    assert tools == [("free_times", True), ("book_appointment", True)]
    assert entries(tmp_path, "call.ended")[0]["reason"] == "completed"


async def test_a_pin_opens_the_account_and_stands_nowhere(tmp_path: Path) -> None:
    flows = [copied("pin_entry.py", tmp_path)]
    async with service(tmp_path, flows=flows, call__no_input_s=20) as running, Phone() as phone:
        call = dialled(phone, running, "400")
        await call.answered()
        await step(running, "collect")
        await call.press("481516")
        await until(lambda: any(live.secret_open for live in running.directory.live))
        await call.press("2580")
        said = await over(running)
    assert "42 euros and 50 cents" in said
    journal = next((tmp_path / "journals").glob("*.jsonl"))
    told = "\n".join(text for entry in read_journal(journal) for text in texts(entry))
    assert "42 euros" in told
    assert not re.search(r"(?<![0-9a-f])2580(?![0-9a-f])", told), "ids are hexadecimal, and may hold anything"
    keys = [entry["digit"] for entry in entries(tmp_path, "caller.digit")]
    assert keys == [*"481516", *"••••"]


async def test_a_flow_in_toml_is_called(tmp_path: Path) -> None:
    flows = [copied("opening_hours.toml", tmp_path)]
    async with service(tmp_path, flows=flows, call__no_input_s=20) as running, Phone() as phone:
        call = dialled(phone, running, "800")
        await call.answered()
        await step(running, "menu")
        await call.press("1")
        said = await over(running)
    assert "this is the library" in said
    assert "from ten to six" in said
    assert [one["step"] for one in entries(tmp_path, "flow.step")] == ["greet", "menu", "hours", "bye"]


async def test_a_person_hears_what_it_is_about_and_takes_the_caller(tmp_path: Path) -> None:
    async with Phone(follows=True) as ann, Phone(user="desk", answer=PhoneCall.pick_up) as desk:
        settings = {
            "flows": [copied("warm_transfer.py", tmp_path, desk)],
            "call__transfer_targets": [f"sip:desk@127.0.0.1:{desk.address.port}"],
            "call__no_input_s": 20,
            "queues": [{"name": "desk", "targets": [f"sip:desk@127.0.0.1:{desk.address.port}"]}],
        }
        async with service(tmp_path, **settings) as running:
            call = dialled(ann, running, "600")
            await call.answered()
            await step(running, "choose")
            await call.press("2")
            await step(running, "collect")
            await call.press("481516")
            said = await over(running)
        assert len(desk.received) == 2, "whispered to, then joined with the caller"
    assert "I will put you through" in said
    assert "repair, order 4 8 1 5 1 6" in said
    ended = entries(tmp_path, "call.ended")[0]
    assert (ended["outcome"], ended["reason"]) == ("success", "transferred")
