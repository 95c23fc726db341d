"""TCP and TLS on real sockets of 127.0.0.1: calls, limits, certificates, broken connections."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.kit.certificates import Authority
from tests.kit.ports import free_port
from tests.kit.service import until
from tests.sip.ladder import ANSWER, OFFER, Phone, message_label
from voiceagent.errors import ConfigError
from voiceagent.sip.address import Address, Transport
from voiceagent.sip.config import EndpointConfig
from voiceagent.sip.effects import (
    Answered,
    Confirmed,
    Ended,
    InviteReceived,
    SipEvent,
)
from voiceagent.sip.limits import StreamLimits
from voiceagent.sip.net.framing import StreamFramer, Whole
from voiceagent.sip.net.listen import Listen
from voiceagent.sip.net.tls import TlsConfig
from voiceagent.sip.net.transport import SipTransport
from voiceagent.sip.trunk.trunks import Trunk, TrunkTable

pytestmark = pytest.mark.loopback

E = TypeVar("E")
HOST = "127.0.0.1"
BOTH = [Listen("udp", HOST, 0), Listen("tcp", HOST, 0)]
WITH_TLS = [*BOTH, Listen("tls", HOST, 0)]


class Agent:
    """A transport whose events can be awaited; it answers every call when ``answers``."""

    def __init__(
        self,
        *,
        answers: bool = False,
        tls: TlsConfig | None = None,
        limits: StreamLimits | None = None,
        **config: Any,
    ) -> None:
        self.events: asyncio.Queue[SipEvent] = asyncio.Queue()
        self.answers = answers
        self.transport = SipTransport(EndpointConfig(**config), self.hear, tls=tls, stream_limits=limits)

    def hear(self, event: SipEvent) -> None:
        self.events.put_nowait(event)
        if self.answers and isinstance(event, InviteReceived):
            self.transport.accept(event.leg, ANSWER)

    async def next(self, kind: type[E]) -> E:
        async with asyncio.timeout(45):
            while True:
                event = await self.events.get()
                if isinstance(event, kind):
                    return event

    def at(self, transport: Transport) -> Address:
        return next(one for one in self.transport.bound if one.transport == transport)

    def call(self, destination: Address | list[Address], uri: str = "sip:desk@127.0.0.1") -> str:
        return self.transport.invite(uri, from_uri="sip:a@127.0.0.1", sdp=OFFER, destination=destination)

    @property
    def counts(self) -> dict[str, int]:
        return dict(self.transport.streams.counts)


@asynccontextmanager
async def listening(*agents: Agent, on: list[Listen] = BOTH) -> AsyncIterator[None]:
    try:
        for agent in agents:
            await agent.transport.listen(on)
        yield
    finally:
        for agent in agents:
            await agent.transport.close()


class Wire:
    """A raw stream client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.framer = StreamFramer()
        self.messages: list[bytes] = []

    @classmethod
    async def to(cls, address: Address, **how: Any) -> Wire:
        return cls(*await asyncio.open_connection(*address[:2], **how))

    async def receive(self) -> str:
        async with asyncio.timeout(45):
            while not self.messages:
                data = await self.reader.read(65536)
                if not data:
                    return "closed"
                self.messages += [f.data for f in self.framer.feed(data) if isinstance(f, Whole)]
        return message_label(self.messages.pop(0))

    async def closed(self) -> bool:
        try:
            async with asyncio.timeout(45):
                return not await self.reader.read(65536)
        except (ConnectionError, ssl.SSLError):
            return True

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except (ConnectionError, ssl.SSLError):
            return


async def whole_call(
    caller: Agent, callee: Agent, destination: Address, uri: str = "sip:d@127.0.0.1"
) -> None:
    leg = caller.call(destination, uri)
    await caller.next(Answered)
    confirmed = await callee.next(Confirmed)
    callee.transport.hang_up(confirmed.leg)
    ended = await caller.next(Ended)
    assert (ended.leg, ended.by) == (leg, "peer")


async def test_a_call_over_tcp_needs_one_connection() -> None:
    a, b = Agent(), Agent(answers=True)
    async with listening(a, b):
        await whole_call(a, b, b.at("tcp"))
        await whole_call(a, b, b.at("tcp"))
        assert a.counts == {"opened": 1}
        assert b.counts == {"accepted": 1}
        assert not a.transport.errors
        assert not b.transport.errors


async def test_udp_and_tcp_share_a_free_port() -> None:
    agent = Agent()
    async with listening(agent):
        assert agent.at("udp").port == agent.at("tcp").port


async def test_ipv6_streams() -> None:
    a, b = Agent(), Agent(answers=True)
    try:
        async with listening(a, b, on=[Listen("udp", "::1", 0), Listen("tcp", "::1", 0)]):
            await whole_call(a, b, b.at("tcp"), "sip:d@[::1]")
    except ConfigError:
        pytest.skip("::1 cannot be bound here")


async def test_a_reply_goes_back_on_the_connection_of_an_ephemeral_port() -> None:
    agent = Agent(answers=True)
    async with listening(agent):
        wire, phone = await Wire.to(agent.at("tcp")), Phone()
        wire.writer.write(phone.request("INVITE", OFFER, via="SIP/2.0/TCP 127.0.0.1:1;branch=z9hG4bK1"))
        assert [await wire.receive(), await wire.receive()] == ["100 INVITE", "200 INVITE"]
        wire.writer.write(b"\r\n\r\n")
        async with asyncio.timeout(45):
            assert await wire.reader.readexactly(2) == b"\r\n"
        await wire.close()


async def test_a_hundred_pipelined_requests_are_all_answered() -> None:
    agent = Agent()
    async with listening(agent):
        wire, phone = await Wire.to(agent.at("tcp")), Phone()
        wire.writer.write(
            b"".join(phone.request("OPTIONS", cseq=n, branch=f"z9hG4bK{n}") for n in range(100))
        )
        assert [await wire.receive() for _ in range(100)] == ["200 OPTIONS"] * 100
        await wire.close()


async def test_a_frame_that_is_lost_is_refused_and_the_connection_closed() -> None:
    agent = Agent()
    async with listening(agent):
        wire = await Wire.to(agent.at("tcp"))
        wire.writer.write(Phone().request("INVITE", OFFER).replace(b"Content-Length", b"X-Length"))
        assert [await wire.receive(), await wire.receive()] == ["400 INVITE", "closed"]
        await wire.close()
        assert agent.counts["closed_no_content_length"] == 1


async def test_connections_reset_in_the_middle_of_a_message_leave_nothing() -> None:
    """RST at every 40th byte of an INVITE, and once right behind it."""
    agent = Agent()
    invite = Phone().request("INVITE", OFFER + b"a=x:" + b"y" * 900 + b"\r\n")
    cuts = [*range(1, len(invite), 40), len(invite)]
    async with listening(agent):
        loop = asyncio.get_running_loop()
        for cut in cuts:
            with socket.socket() as sock:
                sock.setblocking(False)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                await loop.sock_connect(sock, agent.at("tcp")[:2])
                await loop.sock_sendall(sock, invite[:cut])
            await until(lambda: agent.transport.streams.accepted == 0)
        assert not agent.transport.errors
        assert agent.transport.endpoint.figures().server_transactions <= 1  # the whole one
        assert len(agent.transport.streams) == 0


async def test_a_call_moves_on_from_a_refused_connection_at_once() -> None:
    a, b = Agent(), Agent(answers=True)
    async with listening(a, b):
        nobody = Address(HOST, free_port(), "tcp")
        a.call([nobody, nobody._replace(transport="udp"), b.at("tcp")])
        await a.next(Answered)
        assert a.transport.endpoint.figures().counts["next_candidate"] == 2
        a.call([nobody])
        ended = await a.next(Ended)
        assert (ended.by, ended.status) == ("failed", 503)


async def test_a_refused_datagram_ends_a_call_at_once_and_no_other() -> None:
    a, b = Agent(), Agent(answers=True)
    async with listening(a, b):
        nobody = Address(HOST, free_port())
        good = a.call(b.at("udp"))
        bad = a.call(nobody)
        ended = await a.next(Ended)
        assert (ended.leg, ended.by, ended.status) == (bad, "failed", 503)
        a.transport.hang_up(good)
        assert (await b.next(Ended)).by == "peer"


async def test_a_long_call_goes_by_tcp() -> None:
    a, b = Agent(), Agent(answers=True)
    async with listening(a, b):
        a.transport.invite(
            "sip:d@127.0.0.1",
            from_uri="sip:a@127.0.0.1",
            sdp=OFFER,
            destination=b.at("udp"),
            headers=[("X-Long", "x" * 1300)],
        )
        assert (await b.next(InviteReceived)).source.transport == "tcp"
        await a.next(Answered)


# Limits.


async def test_a_stranger_is_not_let_in() -> None:
    agent = Agent(accept_source=("192.0.2.0/24",))
    async with listening(agent):
        wire = await Wire.to(agent.at("tcp"))
        assert await wire.closed()
        assert agent.counts == {"refused_unknown_source": 1}
        await wire.close()


@pytest.mark.parametrize(
    ("limits", "sent", "why"),
    [
        (StreamLimits(first_message_s=0.05), b"", "no_message"),
        (StreamLimits(message_s=0.05), b"INVITE sip:", "slow_message"),
        (StreamLimits(idle_s=0.05), Phone().request("OPTIONS"), "idle"),
    ],
)
async def test_slow_peers_are_closed(limits: StreamLimits, sent: bytes, why: str) -> None:
    agent = Agent(limits=limits)
    async with listening(agent):
        wire = await Wire.to(agent.at("tcp"))
        wire.writer.write(sent)
        while await wire.receive() != "closed":
            pass
        await until(lambda: agent.counts.get(f"closed_{why}") == 1)
        assert agent.transport.streams.accepted == 0
        await wire.close()


async def test_an_idle_connection_with_a_call_stays() -> None:
    agent = Agent(answers=True, limits=StreamLimits(idle_s=0.05))
    async with listening(agent):
        wire, phone = await Wire.to(agent.at("tcp")), Phone()
        wire.writer.write(phone.request("INVITE", OFFER, via="SIP/2.0/TCP h;branch=z9hG4bK1"))
        leg = (await agent.next(InviteReceived)).leg
        idle = asyncio.get_running_loop().time() + 0.2
        await until(lambda: asyncio.get_running_loop().time() > idle)
        assert len(agent.transport.streams) == 1
        agent.transport.hang_up(leg)
        await wire.close()


async def test_connections_are_counted_by_address_and_in_all() -> None:
    for limits, why in (
        (StreamLimits(per_address=3), "refused_per_address"),
        (StreamLimits(connections=3), "refused_full"),
    ):
        agent = Agent(limits=limits)
        async with listening(agent):
            wires = [await Wire.to(agent.at("tcp")) for _ in range(4)]
            await until(lambda counts=agent.transport.streams.counts, why=why: counts[why] == 1)
            assert await wires[3].closed()
            for wire in wires:
                await wire.close()
            await until(lambda streams=agent.transport.streams: streams.accepted == 0)
            again = await Wire.to(agent.at("tcp"))
            again.writer.write(Phone().request("OPTIONS"))
            assert await again.receive() == "200 OPTIONS"
            await again.close()


async def test_a_peer_that_does_not_read_is_closed() -> None:
    agent = Agent(limits=StreamLimits(write_buffer=20_000))
    async with listening(agent):
        wire, phone = await Wire.to(agent.at("tcp"), limit=1024), Phone()
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
        number = 0
        while not agent.counts.get("closed_slow_reader"):
            number += 1
            wire.writer.write(phone.request("OPTIONS", cseq=number, branch=f"z9hG4bK{number}") * 50)
            await asyncio.sleep(0)
        assert len(agent.transport.streams) == 0
        wire.writer.transport.abort()


# TLS.


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def tls(authority: Authority, *names: str, **more: Any) -> TlsConfig:
    pair = authority.sign(names[0] if names else "nameless", *names)
    return TlsConfig(**{"certificate": pair.certificate, "key": pair.key, "ca": authority.ca, **more})


async def test_a_call_over_tls(authority: Authority) -> None:
    a = Agent(tls=tls(authority, "a.example"))
    b = Agent(answers=True, tls=tls(authority, "b.example", "sip:b.example", "127.0.0.1"))
    async with listening(a, b, on=WITH_TLS):
        await whole_call(a, b, b.at("tls"), "sips:d@127.0.0.1")
        await whole_call(a, b, b.at("tls")._replace(name="b.example"), "sips:d@b.example")
        assert a.counts == {"opened": 1}  # its certificate proves both, and it has offered its connection


@pytest.mark.parametrize(
    ("server", "client", "name"),
    [
        (("b.example", "b.example"), {}, "other.example"),
        (("b.example", "b.example"), {}, ""),
        (("b.example", "b.example"), {"ca": None}, "b.example"),
    ],
)
async def test_a_server_that_does_not_prove_its_name_is_not_spoken_to(
    authority: Authority, server: tuple[str, ...], client: dict[str, Any], name: str
) -> None:
    a, b = Agent(tls=tls(authority, "a.example", **client)), Agent(tls=tls(authority, *server))
    async with listening(a, b, on=WITH_TLS):
        a.call(b.at("tls")._replace(name=name))
        ended = await a.next(Ended)
        assert (ended.by, ended.status) == ("failed", 503)
        assert b.events.empty()
        assert a.counts["connect_failed"] == 1


async def test_verification_can_be_turned_off(authority: Authority) -> None:
    a = Agent(tls=TlsConfig(verify=False))
    b = Agent(answers=True, tls=tls(authority, "b.example", "b.example"))
    async with listening(b, on=WITH_TLS), listening(a):
        a.call(b.at("tls")._replace(name="c.example"))
        await a.next(Answered)


async def test_client_certificates(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "evil").mkdir()
    evil = Authority(tmp_path / "evil")
    server = tls(authority, "b.example", "127.0.0.1", client_certificates="required")
    for config, taken in (
        (tls(authority, "trunk.example", "trunk.example"), True),
        (tls(authority, "stranger.example", "stranger.example"), False),
        (TlsConfig(ca=authority.ca), False),
        (tls(evil, "trunk.example", "trunk.example", ca=authority.ca), False),
    ):
        a = Agent(tls=config)
        b = Agent(
            answers=True,
            tls=server,
            trunks=TrunkTable([Trunk("edge", identities=frozenset({"trunk.example"}))]),
        )
        async with listening(b, on=WITH_TLS), listening(a):
            a.call(b.at("tls"))
            if taken:
                await a.next(Answered)
                assert b.counts == {"accepted": 1}
            else:
                await until(lambda a=a, b=b: a.events.qsize() or b.transport.endpoint.figures().counts)
                assert not [event for event in b.events._queue if isinstance(event, InviteReceived)]  # type: ignore[attr-defined]


async def test_a_stalled_handshake_is_closed(authority: Authority) -> None:
    agent = Agent(
        tls=tls(authority, "b.example", "127.0.0.1"), limits=StreamLimits(handshake_s=0.05, per_address=2)
    )
    async with listening(agent, on=WITH_TLS):
        stalled = [await Wire.to(agent.at("tls")) for _ in range(2)]
        for wire in stalled:
            assert await wire.closed()
            await wire.close()
        await until(lambda: agent.transport.streams.accepted == 0)
        assert agent.counts == {"handshake_broken": 2}
        context = ssl.create_default_context(cafile=authority.ca)
        good = await Wire.to(agent.at("tls"), ssl=context, server_hostname="127.0.0.1")
        good.writer.write(Phone().request("OPTIONS"))
        assert await good.receive() == "200 OPTIONS"
        await good.close()


async def test_old_tls_is_refused(authority: Authority) -> None:
    agent = Agent(tls=tls(authority, "b.example", "127.0.0.1"))
    async with listening(agent, on=WITH_TLS):
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await Wire.to(agent.at("tls"), ssl=old)


async def test_a_tls_listener_without_certificate_is_a_configuration_error() -> None:
    agent = Agent()
    with pytest.raises(ConfigError, match=r"sip\.tls\.certificate"):
        await agent.transport.listen(WITH_TLS)
    await agent.transport.listen(BOTH)
    await agent.transport.close()
