"""baresip hands our agent to somebody else by REFER, and hears from us how that went."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.interop import kit
from tests.interop.baresip import Baresip, baresip
from tests.kit.service import service, until
from voiceagent.app.service import Service
from voiceagent.phone.phone import Phone, PhoneCall

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("baresip") is None, reason="BARESIP MISSING: install baresip-core"),
]


async def dialled(phone: Baresip, running: Service) -> None:
    assert running.addresses is not None
    await phone.command("dial", f"sip:200@{running.addresses.sip}")
    await phone.event("CALL_ESTABLISHED")
    await until(lambda: any(call.talking for call in running.directory.live))


def told(folder: Path) -> list[tuple[object, object]]:
    """What the journal says about REFERs: type and status."""
    entries = kit.entries(folder)
    return [(one["type"], one["status"]) for one in entries if str(one["type"]).startswith("refer.")]


@pytest.mark.matrix("baresip", "REFER to us", "we call the target, it hears the NOTIFY and our BYE")
async def test_it_hands_the_agent_over(tmp_path: Path) -> None:
    async with Phone(user="ben", answer=PhoneCall.pick_up) as ben:
        desk = f"sip:ben@127.0.0.1:{ben.address.port}"
        settings = {"sip__accept_refer": True, "call__transfer_targets": [desk]}
        async with service(tmp_path, flows=kit.flow_file(tmp_path), **settings) as running:
            async with baresip(tmp_path / "phone", kit.silence(60)) as phone:
                await dialled(phone, running)
                await phone.command("transfer", desk)
                await phone.event("CALL_CLOSED")
                await until(lambda: ben.received)
                await until(lambda: [call.info.caller for call in running.directory.live] == ["ben"])
                ben.received[0].hang_up()
            await until(lambda: not running.directory.live)
    assert told(tmp_path) == [("refer.received", 202), ("refer.ended", 200)]


@pytest.mark.matrix("baresip", "REFER to us: not allowed", "403; it tells its user, and hangs up by itself")
async def test_it_may_not_hand_the_agent_to_anybody(tmp_path: Path) -> None:
    async with (
        service(tmp_path, flows=kit.flow_file(tmp_path), sip__accept_refer=True) as running,
        baresip(tmp_path / "phone", kit.silence(60)) as phone,
    ):
        await dialled(phone, running)
        await phone.command("transfer", "sip:elsewhere@127.0.0.1:9")
        await phone.event("TRANSFER_FAILED")
        await until(lambda: not running.directory.live)
    assert told(tmp_path) == [("refer.received", 403)]
    assert kit.entries(tmp_path)[-1]["reason"] == "caller_hung_up"
