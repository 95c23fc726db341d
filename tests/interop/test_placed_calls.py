"""We call SIPp: answered, busy, declined, given up, early media plain and reliable."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.interop import kit
from tests.interop.callee import INVITED, Callee, answers, callee, refuses
from tests.interop.sipp import is_hung_up, pause, plays, receive, scenario
from tests.kit.service import operator, service, until
from voiceagent.app.service import Service
from voiceagent.media import g711
from voiceagent.records.journal import read_journal

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("sipp") is None, reason="SIPP MISSING: install sip-tester"),
]

FLOW = """
from voiceagent.ivr import Call, flow

@flow("reminder")
async def reminder(call: Call) -> None:
    await call.say("Hello, this is about the dentist.")
"""


def placing(folder: Path, **settings: Any) -> Any:
    """A service that may call anybody on this machine."""
    flows = folder / "flows.py"
    flows.write_text(FLOW, encoding="utf-8")
    return service(folder, flows=[str(flows)], outbound__allowed=("sip:*@127.0.0.1:*",), **settings)


async def placed(running: Service, callee: Callee, **body: Any) -> dict[str, Any]:
    """Call over the API, wait for the end, and return the view of the call."""
    async with operator(running) as client:
        answer = await client.post("/v1/calls", json={"to": callee.uri, "flow": "reminder", **body})
        assert answer.status_code == 202, answer.text
        await until(lambda: not running.directory.live, within_s=60)
        view: dict[str, Any] = (await client.get(f"/v1/calls/{answer.json()['call_id']}")).json()
    return view


async def typed(running: Service, callee: Callee, folder: Path) -> tuple[int, str]:
    """Call by ``voiceagent call --agent``; return its exit status and its word for the outcome."""
    assert running.addresses is not None
    at, token = running.addresses.console or "", running.addresses.console_token or ""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voiceagent", "call", "--agent", "reminder", callee.uri),
        *("--url", at, "--token", token, "--json"),
        stdout=asyncio.subprocess.PIPE,
        cwd=folder,
    )
    output = await kit.ended(process)
    assert process.returncode is not None
    return process.returncode, json.loads(output)["word"]


@pytest.mark.matrix("sipp", "calls of ours: answered", "`-sn uas`; we speak, BYE; exit status 0")
async def test_answered(tmp_path: Path) -> None:
    async with callee(tmp_path, "-sn", "uas", calls=2) as phone, placing(tmp_path) as running:
        view = await placed(running, phone)
        assert (view["outcome"]["kind"], view["outcome"]["reason"]) == ("success", "completed")
        (journal,) = (tmp_path / "journals").glob("*.jsonl")
        assert await typed(running, phone, tmp_path) == (0, "answered")
        await phone.done()
    (dialled,) = (entry for entry in read_journal(journal) if entry["type"] == "call.dialled")
    assert dialled["protocol_call_id"]


@pytest.mark.parametrize(
    ("status", "word", "exit_status"),
    [
        pytest.param(
            "486 Busy Here",
            "busy",
            3,
            marks=pytest.mark.matrix("sipp", "calls of ours: 486", "busy, exit status 3"),
        ),
        pytest.param(
            "603 Decline",
            "declined",
            4,
            marks=pytest.mark.matrix("sipp", "calls of ours: 603", "declined, exit status 4"),
        ),
    ],
    ids=["busy", "declined"],
)
async def test_refused(tmp_path: Path, status: str, word: str, exit_status: int) -> None:
    file = scenario(tmp_path, *refuses(status))
    async with callee(tmp_path, "-sf", file, calls=2) as phone, placing(tmp_path) as running:
        assert (await placed(running, phone))["outcome"]["reason"] == word
        assert await typed(running, phone, tmp_path) == (exit_status, word)
        await phone.done()


@pytest.mark.matrix("sipp", "calls of ours: no answer", "it rings, CANCEL, 487; no_answer")
async def test_nobody_answers(tmp_path: Path) -> None:
    steps = [
        INVITED,
        answers("180 Ringing"),
        receive("CANCEL"),
        answers("200 OK"),
        answers("487 Request Terminated", to_invite=True, retrans=True),
        receive("ACK"),
    ]
    file = scenario(tmp_path, *steps)
    async with (
        callee(tmp_path, "-sf", file) as phone,
        placing(tmp_path, outbound__ring_timeout_s=1) as running,
    ):
        assert (await placed(running, phone))["outcome"]["reason"] == "no_answer"
        await phone.done()


@pytest.mark.parametrize(
    "reliable",
    [
        pytest.param(
            False,
            marks=pytest.mark.matrix("sipp", "calls of ours: early media", "183 with SDP and RTP, then 200"),
        ),
        pytest.param(
            True,
            marks=pytest.mark.matrix(
                "sipp", "calls of ours: reliable early media", "183 with 100rel, our PRACK, 200 without SDP"
            ),
        ),
    ],
    ids=["plain", "reliable"],
)
async def test_early_media(tmp_path: Path, *, reliable: bool) -> None:
    (tmp_path / "tone.ulaw").write_bytes(g711.encode(b"\x10\x20\x10\xe0" * 4000, "ulaw"))
    early = answers("183 Session Progress", *(["Require: 100rel", "RSeq: 7"] if reliable else []), sdp=True)
    prack = [receive("PRACK", attributes='rtd="true"'), answers("200 OK", tag=False)] if reliable else []
    steps = [
        INVITED,
        early,
        *prack,
        plays('rtp_stream="tone.ulaw,1,0"'),
        pause(700),
        answers("200 OK", sdp=not reliable, to_invite=True, tag=not reliable, retrans=True),
        receive("ACK"),
        *is_hung_up(),
    ]
    file = scenario(tmp_path, *steps)
    async with (
        callee(tmp_path, "-sf", file) as phone,
        placing(tmp_path, sip__reliable_provisionals="supported") as running,
    ):
        view = await placed(running, phone)
        await phone.done()
    assert view["outcome"]["reason"] == "completed"
    told = [entry for entry in kit.entries(tmp_path) if entry["type"] == "call.progress"]
    assert [(entry["status"], entry["early_media"]) for entry in told] == [(183, True)]
