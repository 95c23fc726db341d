"""baresip with encrypted media calls the whole service: SDES on RTP/AVP and RTP/SAVP, DTLS-SRTP."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.interop import kit
from tests.interop.baresip import Ways, baresip
from tests.kit.service import service, until

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("baresip") is None, reason="BARESIP MISSING: install baresip-core"),
]


SPOKEN = "an encrypted call, the agent's words recognised in the phone's recording"


@pytest.mark.parametrize(
    "encryption",
    [
        pytest.param("srtp", marks=pytest.mark.matrix("baresip", "SRTP, SDES on RTP/AVP", SPOKEN)),
        pytest.param("srtp-mand", marks=pytest.mark.matrix("baresip", "SRTP, SDES on RTP/SAVP", SPOKEN)),
        pytest.param("dtls_srtp", marks=pytest.mark.matrix("baresip", "DTLS-SRTP", SPOKEN)),
    ],
)
async def test_a_spoken_call(tmp_path: Path, encryption: str) -> None:
    real = {"engine__voice": "auto", "media__srtp": "required", "media__sdes_over": "any"}
    async with service(tmp_path, flows=kit.flow_file(tmp_path), **real) as running:
        assert running.addresses is not None
        ways = Ways(media_encryption=encryption)
        async with baresip(tmp_path / "phone", kit.silence(60), ways) as phone:
            await phone.command("dial", f"sip:200@{running.addresses.sip}")
            await phone.event("CALL_ESTABLISHED")
            await until(lambda: running.directory.live)
            live = running.directory.live[0]
            for digit in "4711":
                count = live.digits_pressed
                await phone.command("sndcode", digit)
                await until(lambda count=count: live.digits_pressed > count)
            await phone.event("CALL_CLOSED", within_s=40)
        await until(lambda: not running.directory.live)
    end = kit.entries(tmp_path)[-1]
    print(end)
    assert end["reason"] == "completed"
    assert kit.level_dbfs(phone.recording()) > -35
