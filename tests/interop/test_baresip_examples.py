"""baresip calls an example: an account number in words, a secret by keys."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.interop import kit
from tests.interop.baresip import baresip, press
from tests.kit.service import service, until
from tests.kit.speaking_caller import SpeakingCaller

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("baresip") is None, reason="BARESIP MISSING: install baresip-core"),
]

EXAMPLE = Path(__file__).parents[2] / "examples" / "pin_entry.py"


@pytest.mark.matrix("baresip", "an example called", "six digits spoken, yes, a secret PIN by keys")
async def test_a_bank_is_called(tmp_path: Path) -> None:
    account = await kit.words("four eight one five one six", before_s=0.2)
    yes = await kit.words("yes", before_s=0.2)
    async with service(tmp_path, flows=[str(EXAMPLE)], call__no_input_s=30.0, **kit.REAL) as running:
        assert running.addresses is not None
        async with baresip(tmp_path / "phone", kit.silence(60)) as phone:
            await phone.command("dial", f"sip:400@{running.addresses.sip}")
            await phone.event("CALL_ESTABLISHED")
            caller = await SpeakingCaller.of(running)
            number = "six digit account number."
            await caller.answers(number, lambda: phone.say(account), "4 8 1 5 1 6. Is that right?")
            await caller.answers("Is that right?", lambda: phone.say(yes), "four digit PIN.")
            call = running.directory.live[0]
            await until(lambda: call.secret_open)
            await press(phone, call, "2580")
            await caller.hears("42 euros and 50 cents")
            await phone.event("CALL_CLOSED", within_s=60)
        await until(lambda: not running.directory.live)
    assert "481516" in kit.said(tmp_path)
    keys = [entry["digit"] for entry in kit.entries(tmp_path) if entry["type"] == "caller.digit"]
    assert keys == [*"••••"]
    assert kit.entries(tmp_path)[-1]["reason"] == "completed"
