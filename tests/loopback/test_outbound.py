"""Calls that we place, for real: to our own phone, over the API and from the command line."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kit.service import operator, service, until
from voiceagent.phone.phone import Phone, PhoneCall
from voiceagent.records.journal import read_journal
from voiceagent.replay.check import check_journal

pytestmark = pytest.mark.loopback

FLOW = """
from voiceagent.ivr import Call, flow

@flow("reminder")
async def reminder(call: Call) -> None:
    await call.say(f"Hello, this is about {call.metadata['what']}.")
"""


@pytest.fixture
def flows(tmp_path: Path) -> list[str]:
    path = tmp_path / "flows.py"
    path.write_text(FLOW, encoding="utf-8")
    return [str(path)]


async def command(*words: str, cwd: Path) -> tuple[int, dict[str, Any]]:
    """Run ``voiceagent call … --json``; return its exit status and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "voiceagent", "call", *words, "--json", stdout=asyncio.subprocess.PIPE, cwd=cwd
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, json.loads(output)


async def test_the_api_places_a_call_that_is_answered_spoken_to_and_ended(
    tmp_path: Path, flows: list[str]
) -> None:
    taken: list[PhoneCall] = []

    def answer(call: PhoneCall) -> None:
        taken.append(call)
        call.ring(early_media=True)
        asyncio.get_running_loop().call_later(0.3, call.pick_up)

    async with (
        Phone(user="callee", answer=answer) as phone,
        service(tmp_path, flows=flows, outbound__allowed=("sip:*@127.0.0.1:*",)) as running,
        operator(running) as client,
    ):
        body = {
            "to": f"sip:callee@127.0.0.1:{phone.address.port}",
            "flow": "reminder",
            "from": "practice",
            "headers": {"X-Job": "42"},
            "metadata": {"what": "the dentist"},
            "consent_reference": "crm-17",
        }
        placed = await client.post("/v1/calls", json=body, headers={"Idempotency-Key": "k"})
        assert placed.status_code == 202, placed.text
        again = await client.post("/v1/calls", json=body, headers={"Idempotency-Key": "k"})
        assert again.json()["call_id"] == placed.json()["call_id"]
        await until(lambda: taken)
        ended = await taken[0].over(45)
        await until(lambda: not running.directory.live)
        view = (await client.get(f"/v1/calls/{placed.json()['call_id']}")).json()
    assert len(taken) == 1
    invite = taken[0].invite
    assert invite is not None
    assert (invite.caller_user, dict(invite.headers).get("X-Job")) == ("practice", "42")
    assert ended.by == "peer"
    assert taken[0].ear.first_audible is not None
    assert taken[0].answered_at is not None
    assert taken[0].ear.first_audible >= taken[0].answered_at  # nothing of the agent's in the early media
    assert (view["direction"], view["outcome"]["reason"]) == ("outbound", "completed")
    assert view["figures"]["first_words_ms"] > 0
    journal = next((tmp_path / "journals").glob("*.jsonl"))
    entries = list(read_journal(journal))
    assert [entry["type"] for entry in entries if entry["type"] in ("call.progress", "call.answered")] == [
        "call.progress",
        "call.answered",
    ]
    assert any(entry.get("consent_reference") == "crm-17" for entry in entries)
    assert check_journal(journal).ok


async def test_every_end_has_its_word_and_its_exit_status(tmp_path: Path, flows: list[str]) -> None:
    ends: dict[str, Callable[[PhoneCall], object]] = {
        "busy": lambda call: call.refuse(486),
        "declined": lambda call: call.refuse(603),
        "no_answer": lambda call: call.ring(),
        "not_found": lambda call: call.refuse(404),
        "unreachable": lambda call: call.refuse(500),
    }

    def answer(call: PhoneCall) -> None:
        assert call.invite is not None
        ends[call.invite.called_user](call)

    async with (
        Phone(user="callee", answer=answer) as phone,
        service(tmp_path, flows=flows, outbound__allowed=("*",), outbound__ring_timeout_s=4.0) as running,
        operator(running) as client,
    ):
        assert running.addresses is not None
        at = f"127.0.0.1:{phone.address.port}"
        for reason in ends:
            body = {"to": f"sip:{reason}@{at}", "flow": "reminder"}
            assert (await client.post("/v1/calls", json=body)).status_code == 202
        await until(lambda: len(running.directory.lately_ended) == len(ends))
        told = {view.called: (view.outcome or {})["reason"] for view in running.directory.calls()}
        node = ["--url", running.addresses.console or "", "--token", running.addresses.console_token or ""]
        code, said = await command("--agent", "reminder", f"sip:declined@{at}", *node, cwd=tmp_path)
    assert told == {reason: reason for reason in ends}
    assert (code, said["word"]) == (4, "declined")


async def test_who_is_not_allowed_is_not_called(tmp_path: Path, flows: list[str]) -> None:
    async with service(tmp_path, flows=flows) as running, operator(running) as client:
        assert running.addresses is not None
        answer = await client.post("/v1/calls", json={"to": "sip:a@127.0.0.1:9", "flow": "reminder"})
        assert (answer.status_code, answer.json()["code"]) == (403, "target_not_allowed")
        node = ["--url", running.addresses.console or "", "--token", running.addresses.console_token or ""]
        code, said = await command("--agent", "reminder", "sip:a@127.0.0.1:9", *node, cwd=tmp_path)
        assert (code, said["error"]["code"]) == (8, "rejected_by_policy")
        assert running.directory.calls() == []


async def test_from_a_fresh_clone_the_command_line_alone_calls_somebody(tmp_path: Path) -> None:
    taken: list[PhoneCall] = []

    def answer(call: PhoneCall) -> None:
        call.ring()
        call.pick_up()
        taken.append(call)

    async with Phone(user="100", answer=answer) as phone:
        target = f"sip:100@127.0.0.1:{phone.address.port}"
        running = asyncio.ensure_future(command("--agent", "front-desk", target, cwd=tmp_path))
        await until(lambda: taken)
        await taken[0].until_speaking(45)
        taken[0].hang_up()
        code, said = await running
    assert (code, said["word"]) == (0, "answered"), said
    assert said["call"]["outcome"]["reason"] == "caller_hung_up"
    assert list((tmp_path / "journals").glob("*.jsonl"))
