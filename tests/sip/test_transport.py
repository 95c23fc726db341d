"""The UDP shell on real sockets of 127.0.0.1."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest

from tests.kit.ports import free_port
from tests.sip.ladder import ANSWER, OFFER, Phone
from voiceagent.errors import ConfigError
from voiceagent.sip.config import EndpointConfig
from voiceagent.sip.effects import (
    Address,
    Answered,
    Confirmed,
    Ended,
    InviteProgress,
    InviteReceived,
    SipEvent,
)
from voiceagent.sip.net.transport import SipTransport
from voiceagent.sip.timers import TimerValues

pytestmark = pytest.mark.loopback

E = TypeVar("E")
FAST = TimerValues(t1=0.02, t2=0.08, t4=0.1)


class Agent:
    """A transport whose events can be awaited."""

    def __init__(self, **config: Any) -> None:
        self.events: asyncio.Queue[SipEvent] = asyncio.Queue()
        self.transport = SipTransport(EndpointConfig(**config), self.events.put_nowait)

    async def next(self, kind: type[E]) -> E:
        async with asyncio.timeout(45):
            while True:
                event = await self.events.get()
                if isinstance(event, kind):
                    return event


@asynccontextmanager
async def agents(count: int, **config: Any) -> AsyncIterator[list[tuple[Agent, tuple[str, int]]]]:
    made = [Agent(**config) for _ in range(count)]
    try:
        yield [(agent, await agent.transport.start()) for agent in made]
    finally:
        for agent in made:
            await agent.transport.close()


async def test_a_call_between_two_transports() -> None:
    async with agents(2) as [(a, _), (b, b_address)]:
        leg = a.transport.invite(
            f"sip:desk@127.0.0.1:{b_address[1]}", from_uri="sip:a@127.0.0.1", sdp=OFFER, destination=b_address
        )
        offered = await b.next(InviteReceived)
        assert (offered.called_user, offered.offer) == ("desk", OFFER)
        b.transport.ring(offered.leg)
        assert (await a.next(InviteProgress)).status == 180
        b.transport.accept(offered.leg, ANSWER)
        assert (await a.next(Answered)).sdp == ANSWER
        await b.next(Confirmed)
        a.transport.hang_up(leg, "done")
        assert (await a.next(Ended)).by == "us"
        ended = await b.next(Ended)
        assert (ended.by, ended.reason) == ("peer", 'SIP;cause=200;text="done"')
        assert not a.transport.errors
        assert not b.transport.errors


async def test_a_command_within_an_event_is_performed_after_what_waits() -> None:
    order: list[str] = []
    transport: SipTransport

    def on_event(event: SipEvent) -> None:
        order.append(type(event).__name__)
        if isinstance(event, InviteReceived):
            transport.reject(event.leg, 486, "Busy Here")
            order.append("commanded")

    transport = SipTransport(EndpointConfig(), on_event)
    address = await transport.start()
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.setblocking(False)
        phone.bind(("127.0.0.1", 0))
        await loop.sock_sendto(phone, Phone(phone.getsockname()).request("INVITE", OFFER), address[:2])
        async with asyncio.timeout(45):
            replies = [await loop.sock_recv(phone, 65535) for _ in range(2)]
    assert [reply[:11] for reply in replies] == [b"SIP/2.0 100", b"SIP/2.0 486"]
    assert order == ["InviteReceived", "commanded", "Ended"]
    await transport.close()


async def test_retransmission_and_giving_up_on_the_real_clock() -> None:
    """Nobody listens at the destination: the INVITE is repeated, then told as a timeout."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        async with agents(1, timers=FAST) as [(agent, _)]:
            agent.transport.invite(
                "sip:x@127.0.0.1",
                from_uri="sip:a@127.0.0.1",
                sdp=OFFER,
                destination=Address(*nobody.getsockname()),
            )
            assert (await agent.next(Ended)).by == "timeout"
            # Six where nothing is late; how many exactly is judged in virtual time.
            assert 1 <= agent.transport.endpoint.figures().retransmissions <= 6


async def test_garbage_and_a_listener_that_fails_do_not_stop_the_loop(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls: asyncio.Queue[InviteReceived] = asyncio.Queue()

    def on_event(event: SipEvent) -> None:
        if isinstance(event, InviteReceived):
            calls.put_nowait(event)
            raise RuntimeError("the application broke")

    transport = SipTransport(EndpointConfig(), on_event)
    address = await transport.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.bind(("127.0.0.1", 0))
        for n in range(500):
            phone.sendto(b"\x00\xffgarbage" * (n % 50), address[:2])
        phone.sendto(Phone(phone.getsockname()).request("INVITE", OFFER), address[:2])
        async with asyncio.timeout(45):
            await calls.get()
    assert transport.errors == {"listener": 1}
    assert "the application broke" in caplog.text
    await transport.close()


async def test_close_is_final_and_harmless_twice() -> None:
    agent = Agent()
    address = await agent.transport.start(port=free_port())
    agent.transport.invite("sip:x@127.0.0.1", from_uri="sip:a@127.0.0.1", sdp=OFFER, destination=address)
    await agent.transport.close()
    await agent.transport.close()
    again = Agent()
    assert await again.transport.start(port=address[1]) == address
    await again.transport.close()


async def test_an_occupied_port_is_a_configuration_error() -> None:
    async with agents(1) as [(_, address)]:
        with pytest.raises(ConfigError, match=r"sip\.port"):
            await Agent().transport.start(port=address[1])


async def test_a_wildcard_needs_an_advertised_address() -> None:
    with pytest.raises(ConfigError, match=r"sip\.advertised_host"):
        await Agent().transport.start(host="0.0.0.0")
    transport = SipTransport(EndpointConfig(), lambda event: None, advertised=Address("203.0.113.9", 0))
    bound = await transport.start(host="0.0.0.0")
    assert transport.endpoint.config.local == Address("203.0.113.9", bound.port)
    await transport.close()


async def test_ipv6() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    a, b = Agent(), Agent()
    try:
        await a.transport.start(host="::1")
        host, port = (await b.transport.start(host="::1"))[:2]
    except ConfigError:
        pytest.skip("::1 cannot be bound here")
    leg = a.transport.invite(
        f"sip:desk@[::1]:{port}", from_uri="sip:a@[::1]", sdp=OFFER, destination=Address(host, port)
    )
    offered = await b.next(InviteReceived)
    b.transport.accept(offered.leg, ANSWER)
    await a.next(Answered)
    await b.next(Confirmed)
    b.transport.hang_up(offered.leg)
    assert (await a.next(Ended)).leg == leg
    await a.transport.close()
    await b.transport.close()
