"""A UDP listener that learns of unreachable peers by ICMP, on either event loop."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections import Counter
from collections.abc import Callable

import pytest

from tests.kit.ports import free_port
from voiceagent.loops import loop_factory
from voiceagent.sip.effects import Address
from voiceagent.sip.net.udp_socket import UdpSocket, bind_udp

pytestmark = [
    pytest.mark.loopback,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells ICMP errors to a listener"),
]

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": loop_factory() or asyncio.new_event_loop}


def nobody() -> Address:
    """An address where nobody listens."""
    return Address("127.0.0.1", free_port())


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
def test_a_listener_hears_on_after_an_unreachable_peer(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def work() -> None:
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        failed: asyncio.Queue[Address] = asyncio.Queue()
        sock = bind_udp("127.0.0.1", 0, ("host", "port"))
        us, dead = sock.getsockname(), nobody()
        listener = UdpSocket(
            sock,
            0,
            Counter(),
            lambda data, host, port, flow: heard.put_nowait(data),
            lambda address, why: failed.put_nowait(address),
        )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
            async with asyncio.timeout(45):
                for number in range(3):
                    listener.send(b"anybody?", dead)
                    assert (await failed.get())[:2] == dead[:2]
                    phone.sendto(b"%d" % number, us)
                    assert await heard.get() == b"%d" % number
                # More than is read at once, the error among it.
                for number in range(200):
                    phone.sendto(b"%d" % number, us)
                    if number == 100:
                        listener.send(b"anybody?", dead)
                assert [await heard.get() for _ in range(200)] == [b"%d" % number for number in range(200)]
                assert (await failed.get())[:2] == dead[:2]
        listener.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(work())
