"""A UDP listener goes on hearing, whatever ICMP says about the peers that it has sent to."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable

import pytest

from voiceagent.sip.effects import Address
from voiceagent.sip.udp_socket import UdpSocket, bind_udp


def loops() -> list[Callable[[], asyncio.AbstractEventLoop]]:
    made: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.SelectorEventLoop]
    try:
        import uvloop
    except ImportError:
        return made
    return [*made, uvloop.new_event_loop]


def closed_port(host: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        return sock.getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("new_loop", loops())
def test_a_peer_that_cannot_be_reached_makes_nobody_deaf(
    new_loop: Callable[[], asyncio.AbstractEventLoop], host: str
) -> None:
    async def run() -> None:
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        told: asyncio.Queue[Address] = asyncio.Queue()
        ours = bind_udp(host, 0, ("sip.host", "sip.port"))
        place = ours.getsockname()[:2]
        errors: Counter[str] = Counter()
        listener = UdpSocket(
            ours, 1, errors, lambda data, *_: heard.put_nowait(data), lambda peer, _: told.put_nowait(peer)
        )
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as phone:
            for number in range(3):
                gone = closed_port(host)
                listener.send(b"anybody there?", Address(host, gone))
                async with asyncio.timeout(5):
                    assert (await told.get())[:2] == (host, gone)
                phone.sendto(b"%d" % number, place)
                async with asyncio.timeout(5):
                    assert await heard.get() == b"%d" % number
        assert errors["icmp"] == 3
        listener.close()
        listener.close()

    loop = new_loop()
    try:
        loop.run_until_complete(run())
    finally:
        loop.close()
