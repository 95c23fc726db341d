"""Floods over a real socket beside a canary call, and what an overloaded node says."""

from __future__ import annotations

import asyncio
import random
import socket
from pathlib import Path

import pytest

from tests.kit.raw_sip import OFFER
from tests.kit.service import until
from tests.loopback.test_hostile import flows, scene
from voiceagent.bench.fuzz import own_seeds
from voiceagent.bench.mutate import Mutator

__all__ = ["flows"]
pytestmark = pytest.mark.loopback


async def test_four_thousand_datagrams_of_a_stranger_get_no_reply(tmp_path: Path, flows: list[str]) -> None:
    dice, damaged = random.Random(75), Mutator(own_seeds(), 75)
    flood = [*own_seeds(), *(damaged.next()[:60_000] for _ in range(200))]
    async with scene(tmp_path, flows, sip__allowed_sources=("127.0.0.1/32",)) as at:
        assert at.running.sip is not None
        host, _, port = at.sip.rpartition(":")
        keys = at.live.digits_pressed
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.2", 0))
            stranger.setblocking(False)
            for burst in range(40):
                for _ in range(100):
                    stranger.sendto(dice.choice(flood), (host, int(port)))
                if burst % 10 == 0:
                    await at.canary.press("7")
                await asyncio.sleep(0.005)
            await until(lambda: at.live.digits_pressed == keys + 4)
            await at.still_well()
            with pytest.raises(BlockingIOError):
                stranger.recv(2048)
        figures = at.running.sip.endpoint.figures()
        assert figures.counts["drop_unknown_source"] > 1_000
        await until(lambda: len(at.running.directory.live) == 1)


async def test_an_overloaded_node_refuses_new_calls_only(tmp_path: Path, flows: list[str]) -> None:
    async with scene(tmp_path, flows) as at:
        at.running.admission.overload.shedding = True
        waits: set[int] = set()
        for _ in range(12):
            refused = await at.raw.ask("INVITE", body=OFFER)
            assert refused.status == 503
            at.raw.acknowledge(refused)
            waits.add(int(refused.headers.get("Retry-After") or 0))
        assert waits <= set(range(5, 16))
        assert len(waits) > 2
        assert not at.canary.ended.done()
        at.running.admission.overload.shedding = False
        await at.still_well()
    assert "voiceagent_loop_lag_seconds" in at.running.metrics.render()
