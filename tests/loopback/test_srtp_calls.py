"""Whole calls with encrypted media, phone and service over real sockets; and those that must not be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.kit.service import operator, service, until
from voiceagent.errors import ConfigError, MediaError, SipError
from voiceagent.media import srtp
from voiceagent.media.sdp.security import Keying
from voiceagent.phone.phone import Phone
from voiceagent.records.journal import read_journal
from voiceagent.settings import bare_settings

pytestmark = pytest.mark.loopback

FLOW = """
from voiceagent.ivr import Call, Digits, flow

@flow("line", numbers=["100"])
async def line(call: Call) -> None:
    await call.say("Hello and welcome.")
    await call.collect("Ask for the code.", digits=Digits(4), no_input_s=30)
    await call.hangup("Bye.")
"""


@pytest.fixture
def flows(tmp_path: Path) -> list[str]:
    path = tmp_path / "flows.py"
    path.write_text(FLOW, encoding="utf-8")
    return [str(path)]


@pytest.mark.parametrize("keying", ["sdes", "dtls"])
async def test_an_encrypted_call_with_keys_hold_and_figures(
    tmp_path: Path, flows: list[str], keying: Keying
) -> None:
    settings = {"media__srtp": "required", "media__sdes_over": "any"}
    async with service(tmp_path, flows=flows, **settings) as running, Phone(srtp=keying) as phone:
        assert running.addresses is not None
        call = phone.dial(f"sip:100@{running.addresses.sip}")
        await call.answered()
        await call.until_answered_in_words()
        (live,) = running.directory.live
        call.hold(True)
        await until(lambda: live.held and not call._audio.agreement.receives)  # type: ignore[union-attr]
        call.hold(False)
        await until(lambda: not live.held and call._audio.agreement.receives)  # type: ignore[union-attr]
        async with operator(running) as client:
            told = (await client.get(f"/v1/calls/{live.id}")).json()["figures"]
        await call.press("4711")
        await call.over(45)
        await until(lambda: not running.directory.live)
        metrics = running.metrics.render()

    assert told["mos"] > 4
    assert told["loss_percent"] == 0
    assert call.figures.srtp.startswith("AEAD_AES_")
    assert call.figures.mos is not None
    text = next((tmp_path / "journals").glob("*.jsonl")).read_text(encoding="utf-8")
    assert not re.search(r"inline:[^•]", text), "no key is"
    entries = list(read_journal(next((tmp_path / "journals").glob("*.jsonl"))))
    assert "".join(entry["digit"] for entry in entries if entry["type"] == "caller.digit") == "4711"
    end = entries[-1]
    assert (end["outcome"], end["media"]["srtp"]) == ("success", call.figures.srtp)
    assert end["media"]["details"]["srtp_refused"] == 0
    assert end["media"]["details"]["mos"] > 4
    assert "voiceagent_call_mos_count 1.0" in metrics
    assert "voiceagent_call_loss_ratio_count 1.0" in metrics


async def test_who_requires_encryption_takes_no_plain_call(tmp_path: Path, flows: list[str]) -> None:
    async with service(tmp_path, flows=flows, media__srtp="required") as running, Phone() as phone:
        assert running.addresses is not None
        call = phone.dial(f"sip:100@{running.addresses.sip}")
        with pytest.raises(SipError) as caught:
            await call.answered()
    assert caught.value.status == 488


@pytest.mark.parametrize(
    ("keying", "settings"),
    [
        ("sdes", {}),  # over UDP anybody could read the keys
        ("sdes", {"media__srtp": "off", "media__sdes_over": "any"}),
        ("dtls", {"media__srtp": "off"}),
        ("dtls", {"media__srtp_keying": ("sdes",)}),
    ],
)
async def test_who_demands_what_we_do_not_do_gets_488(
    tmp_path: Path, flows: list[str], keying: Keying, settings: dict
) -> None:
    async with service(tmp_path, flows=flows, **settings) as running, Phone(srtp=keying) as phone:
        assert running.addresses is not None
        call = phone.dial(f"sip:100@{running.addresses.sip}")
        with pytest.raises(SipError) as caught:
            await call.answered()
    assert caught.value.status == 488


async def test_without_the_packages_srtp_is_not_offered_and_not_promised(
    tmp_path: Path, flows: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(srtp.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match="pip install"):
        bare_settings({"media.srtp": "required", "realtime.provider": "embedded"})
    with pytest.raises(MediaError, match="pip install"):
        Phone(srtp="dtls")
    async with service(tmp_path, flows=flows) as running:
        assert running.gateway is not None
        monkeypatch.undo()
        async with Phone(srtp="dtls") as phone:
            assert running.addresses is not None
            call = phone.dial(f"sip:100@{running.addresses.sip}")
            with pytest.raises(SipError) as caught:
                await call.answered()
    assert caught.value.status == 488
