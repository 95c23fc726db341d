"""An offer that the provider delivers to two nodes is taken by one of them."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any, cast

import pytest

from voiceagent.app.hosted import HostedDesk
from voiceagent.app.incoming import Reception
from voiceagent.app.provider import SessionFactory
from voiceagent.call.admission import Admission
from voiceagent.call.config import AdmissionConfig
from voiceagent.cluster.ports import ClusterDown
from voiceagent.engine.hosted_webhook import incoming_event, new_webhook_secret
from voiceagent.engine.webhook_signature import signed_headers, webhook_key
from voiceagent.ivr.flow import FlowBook
from voiceagent.observe.metrics import Metrics
from voiceagent.settings.tree import bare_settings

SECRET = new_webhook_secret()


class Taker:
    """A reception that only counts."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def take(self, leg: Any, *_: Any) -> None:
        self.calls.append(leg.call_id)


class Fleet:
    """Claims once for all, or is away."""

    def __init__(self) -> None:
        self.claimed: set[str] = set()
        self.away = False

    async def claim(self, key: str, for_s: float) -> bool:
        assert for_s >= 72 * 3600
        await asyncio.sleep(0)
        if self.away:
            raise ClusterDown("nobody there")
        first = key not in self.claimed
        self.claimed.add(key)
        return first


def a_node(folder: Path, fleet: Fleet) -> tuple[HostedDesk, Taker]:
    folder.mkdir()
    settings = bare_settings(
        {
            "journal_dir": str(folder),
            "hosted.webhook_secrets": [SECRET],
            "realtime.provider": "openai",
            "realtime.api_key": "sk-none",
        }
    )
    desk = HostedDesk(
        settings,
        SessionFactory(settings, None),
        flows=lambda: FlowBook([]),
        admission=Admission(AdmissionConfig(10, 5), dice=lambda most: 0),
        metrics=Metrics(),
        claim=fleet.claim,
    )
    taker = Taker()
    desk.open(cast("Reception", taker))
    return desk, taker


def offer(desk: HostedDesk) -> str:
    body = json.dumps(incoming_event("evt_1", "rtc_1", [], int(time.time()))).encode()
    headers = signed_headers(webhook_key(SECRET), "evt_1", int(time.time()), body)
    return desk.take(
        headers["webhook-id"], headers["webhook-timestamp"], headers["webhook-signature"], body
    ).outcome


@pytest.mark.parametrize(("away", "takers"), [(False, 1), (True, 2)])
async def test_two_nodes_are_offered_the_same_call(tmp_path: Path, away: bool, takers: int) -> None:
    """While the registry is away both try: the provider lets a call be accepted once."""
    fleet = Fleet()
    fleet.away = away
    one, first = a_node(tmp_path / "one", fleet)
    two, second = a_node(tmp_path / "two", fleet)
    assert [offer(one), offer(two)] == ["taken", "taken"]
    assert offer(one) == "duplicate"
    for _ in range(5):
        await asyncio.sleep(0)
    assert first.calls + second.calls == ["rtc_1"] * takers
    await one.close()
    await two.close()
