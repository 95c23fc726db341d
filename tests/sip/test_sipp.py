"""SIPp calls us: a phone that we did not write."""

from __future__ import annotations

import asyncio
import shutil
import socket
from pathlib import Path

import pytest

from tests.kit.ports import free_port
from tests.kit.service import until
from tests.sip.ladder import ANSWER
from voiceagent.sip.config import EndpointConfig
from voiceagent.sip.effects import Address, Confirmed, Ended, InviteReceived, SipEvent
from voiceagent.sip.net.listen import Listen
from voiceagent.sip.net.transport import SipTransport

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("sipp") is None, reason="SIPP MISSING: install sip-tester"),
]


def is_taken(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


class Desk:
    """Rings and answers every call."""

    def __init__(self) -> None:
        self.offered = self.confirmed = 0
        self.ends: list[Ended] = []
        self.transport = SipTransport(EndpointConfig(), self.hear)

    def hear(self, event: SipEvent) -> None:
        if isinstance(event, InviteReceived):
            self.offered += 1
            self.transport.ring(event.leg)
            self.transport.accept(event.leg, ANSWER)
        elif isinstance(event, Confirmed):
            self.confirmed += 1
        elif isinstance(event, Ended):
            self.ends.append(event)


async def sipp(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run SIPp to its end; its exit code (0: every call was good) and what it said."""
    process = await asyncio.create_subprocess_exec(
        "sipp",
        *arguments,
        "-i",
        "127.0.0.1",
        "-p",
        str(free_port()),
        "-nostdin",
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(120):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode is not None
    return process.returncode, output.decode("utf-8", "replace")


@pytest.mark.matrix("sipp", "the SIP core, UDP", "200 calls, 100 a second")
async def test_two_hundred_calls_all_succeed(tmp_path: Path) -> None:
    desk = Desk()
    host, port = (await desk.transport.start())[:2]
    code, output = await sipp(tmp_path, f"{host}:{port}", "-sn", "uac", "-r", "100", "-m", "200", "-d", "100")
    assert code == 0, output[-2000:]
    assert desk.offered == desk.confirmed == len(desk.ends) == 200
    assert {ended.by for ended in desk.ends} == {"peer"}
    assert desk.transport.endpoint.figures().legs == 0
    await desk.transport.close()


@pytest.mark.matrix("sipp", "the SIP core, TCP", "100 calls on one connection")
async def test_a_hundred_calls_over_tcp_all_succeed(tmp_path: Path) -> None:
    desk = Desk()
    both = [Listen("udp", "127.0.0.1", 0), Listen("tcp", "127.0.0.1", 0)]
    host, port = (await desk.transport.listen(both))[1][:2]
    code, output = await sipp(
        tmp_path, f"{host}:{port}", "-sn", "uac", "-t", "t1", "-r", "50", "-m", "100", "-d", "100"
    )
    assert code == 0, output[-2000:]
    assert desk.offered == desk.confirmed == len(desk.ends) == 100
    assert desk.transport.streams.counts["accepted"] == 1
    await desk.transport.close()


@pytest.mark.matrix("sipp", "the SIP core, 10 % loss", "80 calls, `-lost 10`")
async def test_calls_at_ten_percent_loss_all_succeed(tmp_path: Path) -> None:
    desk = Desk()
    host, port = (await desk.transport.start())[:2]
    code, output = await sipp(
        tmp_path, f"{host}:{port}", "-sn", "uac", "-r", "20", "-m", "80", "-d", "100", "-lost", "10"
    )
    assert code == 0, output[-2000:]
    assert desk.offered == 80
    figures = desk.transport.endpoint.figures()
    assert figures.counts.get("repeated_requests", 0) + figures.retransmissions > 0
    await desk.transport.close()


@pytest.mark.matrix("sipp", "the SIP core, calls of ours", "20 calls, `-sn uas`")
async def test_we_call_sipp(tmp_path: Path) -> None:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        "sipp",
        "-sn",
        "uas",
        "-i",
        "127.0.0.1",
        "-p",
        str(port),
        "-m",
        "20",
        "-nostdin",
        cwd=tmp_path,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    await until(lambda: is_taken(port))
    done = asyncio.Event()
    ended: list[Ended] = []

    def hear(event: SipEvent) -> None:
        from voiceagent.sip.effects import Answered

        if isinstance(event, Answered):
            transport.hang_up(event.leg)
        elif isinstance(event, Ended):
            ended.append(event)
            if len(ended) == 20:
                done.set()

    transport = SipTransport(EndpointConfig(), hear)
    await transport.start()
    try:
        for n in range(20):
            transport.invite(
                f"sip:service@127.0.0.1:{port}",
                from_uri=f"sip:a{n}@127.0.0.1",
                sdp=ANSWER,
                destination=Address("127.0.0.1", port),
            )
        async with asyncio.timeout(60):
            await done.wait()
            assert {event.by for event in ended} == {"us"}
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await transport.close()
