"""Blind transfer over real SIP: REFER, NOTIFY, and what the flow and the record say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.service import service, until
from voiceagent.phone.phone import Phone

pytestmark = pytest.mark.loopback

FLOW = """
from voiceagent.ivr import Call, flow

@flow("sender", numbers=["*"])
async def sender(call: Call) -> None:
    handed = await call.transfer("sip:desk@127.0.0.1:5999")
    await call.note(f"transfer: {handed.status}")
    await call.hangup()
"""


@pytest.mark.parametrize(
    ("taken", "allowed", "reason"),
    [
        (200, ["sip:desk@*"], "transferred"),
        (486, ["sip:desk@*"], "completed"),
        (None, ["sip:desk@*"], "completed"),
        (200, [], "completed"),
    ],
)
async def test_a_transfer_ends_the_call_only_when_it_was_taken(
    tmp_path: Path, taken: int | None, allowed: list[str], reason: str
) -> None:
    flows = tmp_path / "flows.py"
    flows.write_text(FLOW, encoding="utf-8")
    async with (
        service(tmp_path, flows=[str(flows)], call__transfer_targets=allowed) as running,
        Phone(transfer_status=taken) as phone,
    ):
        assert running.addresses is not None
        call = phone.dial(f"sip:1@{running.addresses.sip}")
        await call.answered()
        await call.over(45)
        await until(lambda: not running.directory.live)
        view = running.directory.calls()[0]
    assert view.outcome is not None
    assert view.outcome["reason"] == reason
