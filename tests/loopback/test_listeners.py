"""The whole service on UDP, TCP and TLS at once."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from tests.kit.certificates import Authority
from tests.kit.service import service, until
from tests.sip.ladder import Phone as Raw
from tests.sip.test_stream_transport import Wire
from voiceagent.cli.doctor import listener_findings
from voiceagent.errors import SipError
from voiceagent.phone.phone import Phone, resolve
from voiceagent.settings import bare_settings
from voiceagent.sip.effects import Address
from voiceagent.sip.net.tls import TlsConfig

pytestmark = pytest.mark.loopback


def address(listener: str) -> Address:
    transport, host, port = listener.split(":")
    return Address(host, int(port), transport)  # type: ignore[arg-type]


async def test_every_listener_answers_and_is_counted(tmp_path: Path) -> None:
    pair = Authority(tmp_path).sign("agent.example", "127.0.0.1")
    listen = ["udp:127.0.0.1:0", "tcp:127.0.0.1:0", "tls:127.0.0.1:0"]
    async with service(
        tmp_path, sip__listen=listen, sip__tls__certificate=pair.certificate, sip__tls__key=pair.key
    ) as running:
        assert running.addresses is not None
        udp, tcp, tls = running.addresses.listeners
        assert f"udp:{running.addresses.sip}" == udp
        assert address(tcp).port == address(udp).port != address(tls).port
        context = ssl.create_default_context(cafile=str(tmp_path / "test-CA.pem"))
        for where, how in ((tcp, {}), (tls, {"ssl": context, "server_hostname": "127.0.0.1"})):
            wire = await Wire.to(address(where), **how)
            wire.writer.write(Raw().request("OPTIONS"))
            assert await wire.receive() == "200 OPTIONS"
            await wire.close()
        # Figures are gathered once a second.
        await until(lambda: 'connection_events_total{what="accepted"} 2.0' in running.metrics.render())
        assert "voiceagent_sip_connections " in running.metrics.render()


@pytest.mark.parametrize("kind", ["tcp", "tls"])
async def test_a_phone_calls_over_streams_and_trusts_whom_it_should(tmp_path: Path, kind: str) -> None:
    authority = Authority(tmp_path)
    pair = authority.sign("agent.example", "127.0.0.1")
    listen = ["udp:127.0.0.1:0", "tcp:127.0.0.1:0", "tls:127.0.0.1:0"]
    async with service(
        tmp_path, sip__listen=listen, sip__tls__certificate=pair.certificate, sip__tls__key=pair.key
    ) as running:
        assert running.addresses is not None
        where = next(address(one) for one in running.addresses.listeners if one.startswith(kind))
        target = f"sip:100@127.0.0.1:{where.port};transport={kind}"
        async with Phone(tls=TlsConfig(ca=authority.ca)) as phone:
            call = phone.dial(target, await resolve(target))
            await call.answered()
            call.hang_up()
            assert (await call.over()).by == "us"
        if kind == "tls":
            async with Phone() as wary:
                with pytest.raises(SipError, match="503"):
                    await wary.dial(target).answered()
            async with Phone(tls=TlsConfig(verify=False)) as careless:
                call = careless.dial(f"sips:100@127.0.0.1:{where.port}")
                await call.answered()


def test_the_doctor_looks_at_every_listener(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    for days, word, well in ((30, "valid for 2", True), (5, "expires in", False)):
        pair = authority.sign("agent.example", "agent.example", days=days)
        listen = ["udp:127.0.0.1:0", "tcp:127.0.0.1:0", "tls:127.0.0.1:0"]
        flags = {"sip.tls.certificate": pair.certificate, "sip.tls.key": pair.key}
        findings = listener_findings(bare_settings({"sip.listen": listen, **flags}))
        assert [one.detail for one in findings if one.part == "sip"] == [
            "udp:127.0.0.1:0 is free",
            "tcp:127.0.0.1:0 is free",
            "tls:127.0.0.1:0 is free",
        ]
        (certificate,) = [one for one in findings if one.part == "certificate"]
        assert certificate.ok is well
        assert word in certificate.detail
