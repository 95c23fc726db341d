"""Trunks against peers that we did not write: SIPp proves itself to us, we to Kamailio."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.interop.kamailio import SECRET, Proxy, kamailio
from tests.interop.sipp import answered, hangs_up, receive, request, scenario, sipp
from tests.kit.service import operator, service, until
from voiceagent.app.service import Service
from voiceagent.app.trunk_check import check_trunks
from voiceagent.settings import bare_settings
from voiceagent.sip.config import EndpointConfig
from voiceagent.sip.effects import Address, SipEvent, TrunkState
from voiceagent.sip.net.transport import SipTransport
from voiceagent.sip.trunk.trunks import Trunk, TrunkTable

needs_kamailio = pytest.mark.skipif(
    shutil.which("kamailio") is None, reason="KAMAILIO MISSING: install kamailio"
)
needs_sipp = pytest.mark.skipif(shutil.which("sipp") is None, reason="SIPP MISSING: install sip-tester")
pytestmark = pytest.mark.interop

CALLED = "sip:[service]@[remote_ip]:[remote_port]"
PHONES = {
    "name": "phones",
    "digest_users": {"alice": "wonderland"},
    "algorithms": ["MD5"],  # this SIPp knows no other
    "methods": ["INVITE", "ACK", "BYE"],
}


def at(proxy: Proxy, **more: Any) -> dict[str, Any]:
    return {
        "name": "proxy",
        "servers": [proxy.address],
        "from_domain": "127.0.0.1",
        "username": "agent",
        "secret": SECRET,
        "register": True,
        **more,
    }


def registration(running: Service) -> str:
    assert running.trunks is not None
    return running.trunks.status()[0].registration


def proves_itself(password: str) -> list[str]:
    """INVITE, 401, ACK, and the INVITE with the answer."""
    credentials = f"[authentication username=alice password={password}]"
    first = request("INVITE", sdp_port="rtpstream_audio_port")
    again = request("INVITE", sdp_port="rtpstream_audio_port", number=2, extra=credentials + "\n")
    return [first, receive(401, attributes='auth="true"'), request("ACK", uri=CALLED), again]


@pytest.mark.matrix("sipp", "digest (MD5)", "our challenge, its answer; a wrong password")
@needs_sipp
async def test_sipp_proves_itself(tmp_path: Path) -> None:
    async with service(tmp_path, trunks=[PHONES], sip__allowed_sources=[]) as running:
        assert running.addresses is not None
        right = [
            *proves_itself("wonderland"),
            receive(100, optional=True),
            receive(180, optional=True),
            receive(200, attributes='rrs="true"'),
            request("ACK", number=2),
            *hangs_up(3),
        ]
        file = scenario(tmp_path, *right)
        code, output = await sipp(tmp_path, running.addresses.sip, "-sf", file, "-m", "3", "-s", "100")
        assert code == 0, output[-2000:]
        await until(lambda: not running.directory.live)
        assert {call.trunk for call in running.directory.calls()} == {"phones"}
        wrong = [*proves_itself("guess"), receive(401), request("ACK", number=2, uri=CALLED)]
        file = scenario(tmp_path, *wrong)
        code, output = await sipp(tmp_path, running.addresses.sip, "-sf", file, "-m", "1", "-s", "100")
        assert code == 0, output[-2000:]
        assert running.sip is not None
        counts = running.sip.endpoint.figures().counts
        assert (counts["gate_passed"], counts["gate_auth_failed"]) == (3, 1)


@pytest.mark.matrix("Kamailio", "registrar with digest", "register, a call to our contact, un-register")
@needs_kamailio
@needs_sipp
@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
async def test_we_register_and_are_called(tmp_path: Path, algorithm: str) -> None:
    async with kamailio(tmp_path / "proxy", algorithm=algorithm) as proxy:
        async with service(tmp_path, trunks=[at(proxy, expires_s=30, keepalive_s=1)]) as running:
            await until(lambda: registration(running) == "registered")
            assert await proxy.registered("agent")
            await until(lambda: running.trunks is not None and running.trunks.status()[0].keepalive == "up")
            async with operator(running) as client:
                trunks = (await client.get("/v1/trunks")).json()["trunks"]
                assert [(one["name"], one["up"]) for one in trunks] == [("proxy", True), ("default", True)]
                metrics = (await client.get("/metrics")).text
                assert 'voiceagent_trunk_up{trunk="proxy"} 1.0' in metrics
            caller = scenario(tmp_path, *answered(routed=True), *hangs_up(routed=True))
            code, output = await sipp(tmp_path, proxy.address, "-sf", caller, "-m", "2", "-s", "agent")
            assert code == 0, output[-2000:]
            # Kamailio is on the trunk's list, and its calls are the trunk's.
            assert [call.trunk for call in running.directory.calls()] == ["proxy", "proxy"]
        assert not await proxy.registered("agent")


@pytest.mark.matrix("Kamailio", "registrar with digest: refresh", "one nonce, three refreshes a second apart")
@needs_kamailio
async def test_refreshes_go_through(tmp_path: Path) -> None:
    async with kamailio(tmp_path / "proxy") as proxy:
        server = Address("127.0.0.1", proxy.port)
        trunk = Trunk(
            "proxy",
            servers=(server,),
            domain="127.0.0.1",
            username="agent",
            password=SECRET,
            register=True,
            expires_s=2,
        )
        told: list[SipEvent] = []
        sip = SipTransport(EndpointConfig(trunks=TrunkTable([trunk])), told.append)
        await sip.start()
        try:
            sip.open_trunks()
            await until(lambda: sip.endpoint.figures().counts.get("registers_sent", 0) >= 4)
            assert await proxy.registered("agent")
            # Asked once for the password; each refresh used the nonce on, with the next count.
            assert sip.endpoint.figures().counts["challenges_answered"] == 1
            assert {event.state for event in told if isinstance(event, TrunkState)} == {"registered"}
        finally:
            await sip.close()


@pytest.mark.matrix("Kamailio", "registrar with digest: wrong password", "state refused, told by doctor")
@needs_kamailio
async def test_a_wrong_password_is_told(tmp_path: Path) -> None:
    async with kamailio(tmp_path / "proxy") as proxy:
        wrong, right = at(proxy, secret="looking-glass"), at(proxy)
        async with service(tmp_path, trunks=[wrong]) as running:
            await until(lambda: registration(running) == "refused")
            async with operator(running) as client:
                parts = (await client.get("/readyz")).json()["parts"]
                assert "401" in parts["trunks"]["proxy"]
        for trunk, ok in ((wrong, False), (right, True)):
            (report,) = await check_trunks(bare_settings({"trunks": [trunk]}))
            assert (report.name, report.ok) == ("proxy", ok), report
            assert "looking-glass" not in report.detail
            assert not await proxy.registered("agent")
