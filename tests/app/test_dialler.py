"""From the wish to the plan of a call: who we are, and what is counted when it is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from voiceagent.app.outbound import Dialler
from voiceagent.app.routes import Routes
from voiceagent.call.admission import Refusal
from voiceagent.call.outbound_leg import DialPlan
from voiceagent.console.ports import DialWish
from voiceagent.errors import RequestRefused
from voiceagent.ivr.flow import FlowBook
from voiceagent.ivr.front_desk import front_desk
from voiceagent.observe.metrics import Metrics
from voiceagent.settings import OutboundSettings
from voiceagent.sip.effects import Address
from voiceagent.sip.net.resolver import Resolver
from voiceagent.sip.trunk.trunks import Trunk, TrunkTable


class House:
    """A gateway and a reception in one: keeps the plans, or refuses."""

    def __init__(self, trunk: Trunk, refusal: Refusal | None = None) -> None:
        self.plans: list[DialPlan] = []
        self.metrics = Metrics(version="test")
        self._refusal = refusal
        self.dialler = Dialler(
            OutboundSettings(allowed=("*",), from_user="reception"),
            flows=lambda: FlowBook([front_desk]),
            gateway=cast("Any", self),
            reception=cast("Any", self),
            metrics=self.metrics,
            routes=Routes(TrunkTable([trunk]), Resolver()),
        )

    def dial(self, plan: DialPlan) -> None:
        self.plans.append(plan)

    def place(self, make_leg: Callable[[], None], *_: object, **__: object) -> Refusal | None:
        return self._refusal or make_leg()


def carrier(**account: str) -> Trunk:
    return Trunk(
        "carrier", servers=(Address("192.0.2.1", 5060),), domain="carrier.example", **cast("Any", account)
    )


@pytest.mark.parametrize(
    ("account", "asked", "user"),
    [
        ({}, "", "reception"),
        ({}, "desk", "desk"),
        ({"username": "4420", "password": "x"}, "", "4420"),
        ({"username": "4420", "password": "x", "from_user": "shop"}, "", "shop"),
    ],
)
async def test_a_call_over_a_trunk_always_says_who_calls(
    account: dict[str, str], asked: str, user: str
) -> None:
    house = House(carrier(**account))
    house.dialler.place(DialWish("+442079460018", "front-desk", from_user=asked))
    assert house.plans[0].from_uri == f"sip:{user}@carrier.example"


async def test_a_node_that_takes_no_call_says_why_and_counts_it_once() -> None:
    house = House(carrier(), Refusal(503, "Service Unavailable", "draining", 7))
    with pytest.raises(RequestRefused, match="none is placed now") as caught:
        house.dialler.place(DialWish("+442079460018", "front-desk"))
    assert caught.value.code == "draining"
    assert 'voiceagent_calls_refused_total{reason="draining"} 1.0' in house.metrics.render()


async def test_a_refused_target_is_named_as_a_whole() -> None:
    house = House(carrier())
    with pytest.raises(RequestRefused, match=r"sip:\+88213123456@pbx\.example is denied"):
        house.dialler.place(DialWish("sip:+88213123456@pbx.example", "front-desk"))
