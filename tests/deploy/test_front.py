"""The Kamailio configuration that we ship, run before nodes that only answer."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.deploy.front import NODES, SHIPPED, STRANGERS, Callers, Node, front
from tests.kit.raw_sip import RawSip, raw_sip
from tests.kit.service import until
from voiceagent.sip.syntax.message import Response

pytestmark = [
    pytest.mark.fleet,
    pytest.mark.skipif(shutil.which("kamailio") is None, reason="KAMAILIO MISSING: install kamailio"),
]


def test_what_is_shipped_is_read_as_it_is() -> None:
    lists = [
        *("-A", f'DISPATCHER_LIST="{SHIPPED}/dispatcher.list"'),
        *("-A", f'ADDRESS_LIST="{SHIPPED}/address.list"'),
    ]
    checked = subprocess.run(
        ["kamailio", "-c", "-f", str(SHIPPED / "kamailio.cfg"), *lists],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert "config file ok" in checked.stdout + checked.stderr


@pytest.mark.matrix(
    "Kamailio", "our configuration: a node drains", "no new calls for it; BYEs of its old ones"
)
async def test_a_node_that_drains_gets_no_new_calls_and_keeps_its_old_ones(tmp_path: Path) -> None:
    async with (
        Node() as one,
        Node() as two,
        front(tmp_path / "k", [one.name, two.name]) as proxy,
        Callers(proxy.address) as callers,
    ):
        first = [callers.dial() for _ in range(40)]
        assert await callers.settled(first) == {"up": 40}
        assert one.taken + two.taken == 40
        assert min(one.taken, two.taken) >= 3, "by Call-ID they are spread"
        one.away_s, before = 7, one.taken
        # The very next call may still be offered to it; it costs the caller nothing.
        early = [callers.dial() for _ in range(10)]
        assert await callers.settled(early) == {"up": 10}
        await proxy.until(one.name, "I")
        later = [callers.dial() for _ in range(10)]
        assert await callers.settled(later) == {"up": 10}
        assert one.taken == before
        running = len(one.calls)
        assert running > 0
        callers.hang_up(first)
        await until(lambda: not one.calls)  # the BYEs find the node that drains
        for leg in two.calls.values():
            two.transport.hang_up(leg)
        await callers.left_by_peer([*early, *later])
        one.away_s = None
        await proxy.until(one.name, "A")
        again = [callers.dial() for _ in range(20)]
        assert await callers.settled(again) == {"up": 20}
        assert one.taken > before


@pytest.mark.matrix("Kamailio", "our configuration: a node is dead", "10 calls, all answered by the other")
async def test_a_dead_node_costs_a_moment_and_no_call(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as dead:  # bound, and never answers
        dead.bind((NODES, 0))
        gone = f"{NODES}:{dead.getsockname()[1]}"
        async with (
            Node() as node,
            front(tmp_path / "k", [gone, node.name]) as proxy,
            Callers(proxy.address) as callers,
        ):
            legs = [callers.dial() for _ in range(10)]
            assert await callers.settled(legs) == {"up": 10}
            await proxy.until(gone, "I")
            assert node.taken == 10


async def test_with_nobody_to_take_it_a_call_gets_503_and_a_time_to_try_again(tmp_path: Path) -> None:
    async with Node() as one, Node() as two, front(tmp_path / "k", [one.name, two.name]) as proxy:
        one.away_s = two.away_s = 7
        for known in (False, True):
            if known:
                await proxy.until(one.name, "I")
                await proxy.until(two.name, "I")
            async with raw_sip(proxy.name) as phone:
                answer = await phone.ask("INVITE")
            assert answer.status == 503, known
            assert answer.headers.get("Retry-After") == "5"


@pytest.mark.matrix("Kamailio", "our configuration: strangers", "no answer; no relay but to the nodes")
async def test_it_is_no_way_for_strangers_nor_to_strangers(tmp_path: Path) -> None:
    async with Node() as node, front(tmp_path / "k", [node.name]) as proxy:
        async with raw_sip(proxy.name, STRANGERS) as stranger, raw_sip(proxy.name) as friend:
            for method in ("OPTIONS", "INVITE"):
                stranger.send(stranger.request(method)[0])
            # Whoever asks afterwards has his answer: by then the stranger would have had one, too.
            assert (await friend.ask("OPTIONS")).status == 200
            assert not stranger.responses
            assert (await friend.ask("REGISTER")).status == 405
            route = f"Route: <sip:127.0.0.1:{proxy.port};lr>"
            assert (await within_a_call(friend, route)).status == 403, "his own route leads to nodes only"
            assert (await within_a_call(friend)).status == 404
        async with raw_sip(proxy.name, NODES) as other:
            assert (await other.ask("INVITE")).status == 403, "a node's calls do not go through here"
    assert node.taken == 0


async def within_a_call(phone: RawSip, *headers: str) -> Response:
    """Send a BYE as if of a call, by hand; return its answer."""
    data, branch = phone.request("BYE", headers=headers)
    phone.send(data.replace(b"\r\nCall-ID:", b";tag=x\r\nCall-ID:", 1))
    return await phone.final(branch)


def test_the_example_lists_two_nodes() -> None:
    lines = (SHIPPED / "dispatcher.list").read_text().splitlines()
    sets = Counter(line.split()[0] for line in lines if not line.startswith("#"))
    assert sets == {"1": 2}
