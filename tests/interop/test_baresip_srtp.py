"""baresip with encrypted media calls a service that demands it: SDES on RTP/AVP and RTP/SAVP, DTLS-SRTP."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from tests.interop import kit
from tests.interop.baresip import Ways, baresip
from tests.kit.certificates import Authority
from tests.kit.service import service, until

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("baresip") is None, reason="BARESIP MISSING: install baresip-core"),
]


HEARD = "an encrypted call: a key pressed, the agent's words recognised in the phone's recording"


@pytest.mark.parametrize(
    "encryption",
    [
        pytest.param("srtp", marks=pytest.mark.matrix("baresip", "SRTP, SDES on RTP/AVP", HEARD)),
        pytest.param("srtp-mand", marks=pytest.mark.matrix("baresip", "SRTP, SDES on RTP/SAVP", HEARD)),
        pytest.param("dtls_srtp", marks=pytest.mark.matrix("baresip", "DTLS-SRTP", HEARD)),
    ],
)
async def test_an_encrypted_call(tmp_path: Path, encryption: str) -> None:
    settings = {"engine__voice": "auto", "media__srtp": "required", "media__sdes_over": "any"}
    async with service(tmp_path, flows=kit.flow_file(tmp_path), **settings) as running:
        assert running.addresses is not None
        ways = Ways(media_encryption=encryption)
        async with baresip(tmp_path / "phone", kit.silence(60), ways) as phone:
            await phone.command("dial", f"sip:100@{running.addresses.sip}")
            await phone.event("CALL_ESTABLISHED")
            await until(lambda: running.directory.live)
            (live,) = running.directory.live
            await until(lambda: any(entry.outcome is not None for entry in live.ledger))
            asked = time.monotonic()  # the ear tells two utterances apart by the silence between them
            await until(lambda: time.monotonic() - asked > 1.0)
            await phone.command("sndcode", "1")
            await phone.event("CALL_CLOSED", within_s=60)
        await until(lambda: not running.directory.live)
    end = kit.entries(tmp_path)[-1]
    assert end["reason"] == "completed"
    media = end["media"]
    assert isinstance(media, dict)
    assert media["srtp"] == "AES_CM_128_HMAC_SHA1_80"
    # What cannot be decrypted is missing; a busy machine may have the ear miss a little that comes too late.
    assert media["details"]["loss_percent"] == 0
    assert media["lost"] <= media["received"] / 10
    assert await kit.understood(phone.recording()) == [kit.QUESTION, kit.ANSWER]


@pytest.mark.matrix("baresip", "no SRTP where it is required", "488")
async def test_a_plain_phone_is_turned_away_where_encryption_is_required(tmp_path: Path) -> None:
    async with service(tmp_path, flows=kit.flow_file(tmp_path), media__srtp="required") as running:
        assert running.addresses is not None
        async with baresip(tmp_path / "phone", kit.silence(5)) as phone:
            await phone.command("dial", f"sip:100@{running.addresses.sip}")
            closed = await phone.event("CALL_CLOSED")
    assert "488" in str(closed)


@pytest.mark.matrix(
    "baresip", "SDES over TLS", "RTP/SAVP by the settings' defaults: keys only where SIP is encrypted"
)
async def test_sdes_keys_are_taken_over_tls_by_default(tmp_path: Path) -> None:
    ours = Authority(tmp_path).sign("127.0.0.1", "127.0.0.1")
    settings = {
        "sip__listen": ("tls:127.0.0.1:0",),
        "sip__tls__certificate": ours.certificate,
        "sip__tls__key": ours.key,
    }
    async with service(tmp_path, flows=kit.flow_file(tmp_path), **settings) as running:
        assert running.addresses is not None
        address = running.addresses.listeners[0].removeprefix("tls:")
        ways = Ways(transport="tls", media_encryption="srtp-mand")
        async with baresip(tmp_path / "phone", kit.silence(60), ways) as phone:
            await phone.command("dial", f"sip:200@{address};transport=tls")
            await phone.event("CALL_ESTABLISHED")
            await until(lambda: running.directory.live)
            (live,) = running.directory.live
            for digit in "4711":
                count = live.digits_pressed
                await phone.command("sndcode", digit)
                await until(lambda count=count: live.digits_pressed > count)
            await phone.event("CALL_CLOSED", within_s=60)
        await until(lambda: not running.directory.live)
    end = kit.entries(tmp_path)[-1]
    assert end["reason"] == "completed"
    assert isinstance(end["media"], dict)
    assert end["media"]["srtp"] == "AES_CM_128_HMAC_SHA1_80"
