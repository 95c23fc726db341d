"""Kamailio as our carrier: it challenges calls of ours, by UDP and TLS, and sends us calls by TLS."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.interop import kit
from tests.interop.callee import callee
from tests.interop.kamailio import SECRET, kamailio
from tests.interop.sipp import answered, hangs_up, scenario, sipp
from tests.kit.certificates import Authority
from tests.kit.ports import free_port
from tests.kit.service import operator, service, until
from voiceagent.app.service import Service
from voiceagent.app.trunk_check import check_trunks
from voiceagent.settings import bare_settings

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("kamailio") is None, reason="KAMAILIO MISSING: install kamailio"),
    pytest.mark.skipif(shutil.which("sipp") is None, reason="SIPP MISSING: install sip-tester"),
]


def account(server: str, **more: Any) -> dict[str, Any]:
    """A trunk with our account at the proxy, which takes numbers."""
    return {
        "name": "carrier",
        "servers": [server],
        "from_domain": "127.0.0.1",
        "username": "agent",
        "secret": SECRET,
        "keepalive_s": 1,
        **more,
    }


def carrier_up(running: Service) -> bool:
    assert running.trunks is not None
    return running.trunks.status()[0].keepalive == "up"


async def calls(running: Service, number: str = "4711") -> dict[str, Any]:
    """Call a bare number, wait for the end; return the view of the call."""
    async with operator(running) as client:
        answer = await client.post("/v1/calls", json={"to": number, "flow": "front-desk"})
        assert answer.status_code == 202, answer.text
        call_id = answer.json()["call_id"]
        await until(lambda: running.directory.call(call_id).figures["answered"] or not running.directory.live)
        await client.post(f"/v1/calls/{call_id}/actions/hangup")
        await until(lambda: not running.directory.live)
        view: dict[str, Any] = (await client.get(f"/v1/calls/{call_id}")).json()
    return view


@pytest.mark.matrix("Kamailio", "calls of ours: digest", "407 and its answer, a number to sipp, our BYE")
async def test_our_call_is_challenged(tmp_path: Path) -> None:
    async with (
        callee(tmp_path, "-sn", "uas") as phone,
        kamailio(tmp_path / "proxy", [f"sip:127.0.0.1:{phone.port}"], challenges=True) as proxy,
    ):
        trunks = [
            account(proxy.address),
            account(proxy.address, name="wrong", secret="x", numbers_out=["9*"]),
        ]
        async with service(tmp_path, trunks=trunks, outbound__allowed=["*"]) as running:
            view = await calls(running)
            assert (view["trunk"], view["outcome"]["reason"]) == ("carrier", "operator_hung_up")
            assert view["figures"]["answered"]
            await phone.done()
            assert running.sip is not None
            assert running.sip.endpoint.figures().counts["challenges_answered"] == 1
        (challenged,) = (entry for entry in kit.entries(tmp_path) if entry["type"] == "call.dialled")
        assert challenged["protocol_call_id"]


@pytest.mark.matrix(
    "Kamailio", "calls of ours: first server dead", "the next one is taken; 407, answered, our BYE"
)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_our_call_goes_to_the_server_that_lives(tmp_path: Path, transport: str) -> None:
    async with (
        callee(tmp_path, "-sn", "uas") as phone,
        kamailio(tmp_path / "proxy", [f"sip:127.0.0.1:{phone.port}"], challenges=True) as proxy,
    ):
        way = f";transport={transport}"
        servers = [f"127.0.0.1:{free_port()}{way}", f"{proxy.address}{way}"]
        trunk = account("", servers=servers, keepalive_s=0)
        async with service(tmp_path, trunks=[trunk], outbound__allowed=["*"]) as running:
            assert (await calls(running))["outcome"]["reason"] == "operator_hung_up"
            await phone.done()
            assert running.sip is not None
            assert running.sip.endpoint.figures().counts["next_candidate"] == 1
        (report,) = await check_trunks(bare_settings({"trunks": [account(servers[1])]}))
        assert report.ok, report


@pytest.mark.matrix("Kamailio", "calls of ours: wrong password", "407 twice; declined")
async def test_a_wrong_password_ends_our_call(tmp_path: Path) -> None:
    async with kamailio(tmp_path / "proxy", challenges=True) as proxy:
        trunk = account(proxy.address, secret="looking-glass")
        async with service(tmp_path, trunks=[trunk], outbound__allowed=["*"]) as running:
            assert (await calls(running))["outcome"]["reason"] == "declined"


@pytest.mark.matrix("Kamailio", "calls of ours by TLS", "its certificate checked; 407, answered, our BYE")
async def test_our_call_by_tls(tmp_path: Path) -> None:
    authority, others = Authority(tmp_path), Authority(tmp_path, "other CA")
    ours, theirs = (authority.sign("127.0.0.1", "127.0.0.1") for _ in range(2))
    files = Path(theirs.certificate), Path(theirs.key)
    async with (
        callee(tmp_path, "-sn", "uas") as phone,
        kamailio(tmp_path / "proxy", [f"sip:127.0.0.1:{phone.port}"], challenges=True, tls=files) as proxy,
    ):
        settings: dict[str, Any] = {
            "trunks": [account(f"127.0.0.1:{proxy.tls_port};transport=tls")],
            "sip.listen": ["udp:127.0.0.1:0", "tls:127.0.0.1:0"],
            "sip.tls.certificate": ours.certificate,
            "sip.tls.key": ours.key,
            "sip.tls.ca": authority.ca,
        }
        keywords = {name.replace(".", "__"): value for name, value in settings.items()}
        async with service(tmp_path, outbound__allowed=["*"], **keywords) as running:
            await until(lambda: carrier_up(running))
            view = await calls(running)
            assert view["outcome"]["reason"] == "operator_hung_up"
            await phone.done()
            assert running.sip is not None
            assert running.sip.streams.counts["opened"] == 1, "the whole call went by one connection"
        (report,) = await check_trunks(bare_settings(settings))
        assert report.ok, report
        (report,) = await check_trunks(bare_settings({**settings, "sip.tls.ca": others.ca}))
        assert not report.ok
        assert "certificate" in report.detail.lower()


def by_tls(authority: Authority, **more: Any) -> dict[str, Any]:
    ours = authority.sign("127.0.0.1", "127.0.0.1")
    return {
        "sip__listen": ["tls:127.0.0.1:0"],
        "sip__tls__certificate": ours.certificate,
        "sip__tls__key": ours.key,
        "sip__tls__ca": authority.ca,
        **more,
    }


@pytest.mark.parametrize(
    ("name", "trunk"),
    [
        pytest.param(
            "sbc.example.com",
            "sbc",
            marks=pytest.mark.matrix(
                "Kamailio", "calls to us by mutual TLS", "known by its certificate's name"
            ),
        ),
        pytest.param(
            "mallory.example.com",
            None,
            marks=pytest.mark.matrix("Kamailio", "mutual TLS, another name", "it hears nothing"),
        ),
    ],
    ids=["known", "unknown"],
)
async def test_it_calls_us_by_mutual_tls(tmp_path: Path, name: str, trunk: str | None) -> None:
    authority = Authority(tmp_path)
    pair = authority.sign(name, name)
    settings = by_tls(
        authority,
        sip__tls__client_certificates="optional",
        sip__allowed_sources=[],
        trunks=[{"name": "sbc", "identities": ["sbc.example.com"]}],
    )
    async with service(tmp_path, **settings) as running:
        assert running.addresses is not None
        target = f"sip:{running.addresses.sip};transport=tls"
        files = Path(pair.certificate), Path(pair.key)
        async with kamailio(tmp_path / "proxy", [target], tls=files) as proxy:
            caller = scenario(tmp_path, *answered(routed=True), *hangs_up(routed=True))
            code, output = await sipp(
                tmp_path, proxy.address, "-sf", caller, "-m", "1", "-s", "100", "-timeout", "8s"
            )
            assert running.sip is not None
            if trunk is None:
                assert code != 0
                assert running.directory.calls() == []
                assert running.sip.endpoint.figures().counts["drop_unknown_source"] >= 1
                return
            assert code == 0, output[-2000:]
            await until(lambda: not running.directory.live)
            assert [call.trunk for call in running.directory.calls()] == [trunk]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="OPENSSL MISSING")
async def test_without_a_certificate_a_tls_client_hears_nothing(tmp_path: Path) -> None:
    settings = by_tls(
        Authority(tmp_path),
        sip__tls__client_certificates="optional",
        sip__allowed_sources=[],
        trunks=[{"name": "sbc", "identities": ["sbc.example.com"]}],
    )
    async with service(tmp_path, **settings) as running:
        assert running.addresses is not None
        client = await asyncio.create_subprocess_exec(
            *("openssl", "s_client", "-quiet", "-connect", running.addresses.sip),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert client.stdin is not None
        lines = ["OPTIONS sip:100@127.0.0.1 SIP/2.0", "Via: SIP/2.0/TLS 127.0.0.1:5;branch=z9hG4bK1"]
        lines += ["From: <sip:a@b>;tag=1", "To: <sip:100@127.0.0.1>", "Call-ID: 1", "CSeq: 1 OPTIONS"]
        client.stdin.write("\r\n".join([*lines, "Content-Length: 0", "", ""]).encode())
        sip = running.sip
        assert sip is not None
        await until(lambda: sip.endpoint.figures().counts.get("drop_unknown_source", 0) == 1)
        client.terminate()
        assert "SIP/2.0" not in await kit.ended(client)


@pytest.mark.matrix("Kamailio", "calls to us by TLS", "five calls by one connection, their BYEs too")
async def test_it_calls_us_by_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    theirs = authority.sign("127.0.0.1", "127.0.0.1")
    async with service(tmp_path, **by_tls(authority)) as running:
        assert running.addresses is not None
        target = f"sip:{running.addresses.sip};transport=tls"
        files = Path(theirs.certificate), Path(theirs.key)
        async with kamailio(tmp_path / "proxy", [target], tls=files) as proxy:
            caller = scenario(tmp_path, *answered(routed=True), *hangs_up(routed=True))
            code, output = await sipp(tmp_path, proxy.address, "-sf", caller, "-m", "5", "-s", "100")
            assert code == 0, output[-2000:]
        await until(lambda: not running.directory.live)
        reasons = [(call.outcome or {})["reason"] for call in running.directory.calls()]
        assert reasons == ["caller_hung_up"] * 5
        assert running.sip is not None
        assert running.sip.streams.counts["accepted"] == 1
