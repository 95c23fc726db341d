"""Session timers and reliable responses over a lossy network, both ends watched for their promises."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.kit.lossy_link import LossyLink
from tests.sip.ladder import ANSWER, OFFER
from voiceagent.bench.sip_promises import Watcher
from voiceagent.errors import SipError
from voiceagent.ids import counted_tokens
from voiceagent.sip.config import EndpointConfig
from voiceagent.sip.effects import (
    Address,
    Answered,
    Confirmed,
    Ended,
    InviteReceived,
    OfferReceived,
    SessionRefreshed,
    SipEffect,
    SipEvent,
)
from voiceagent.sip.endpoint import SipEndpoint
from voiceagent.sip.syntax.message import Request, Response
from voiceagent.sip.syntax.parser import parse_datagram

A = Address("127.0.0.1", 5061)
B = Address("127.0.0.1", 5062)


class Watched(SipEndpoint):
    """An endpoint whose traffic goes by a watcher."""

    watcher: Watcher

    def receive(self, data: bytes, source: Address, now: float) -> list[SipEffect]:
        self.watcher.incoming(data)
        effects = super().receive(data, source, now)
        self.watcher.outgoing(effects, now)
        return effects

    def wake(self, now: float) -> list[SipEffect]:
        effects = super().wake(now)
        self.watcher.outgoing(effects, now)
        self.watcher.time_passed(now)
        return effects


class Side:
    """Early media after 0.1 s, an answer 0.3 s later."""

    def __init__(self, link: LossyLink, address: Address, name: str, refresher: Any) -> None:
        self.link = link
        self.address = address
        config = EndpointConfig(
            local=address,
            session_expires=90,
            session_refresher=refresher,
            reliable_provisionals="supported",
        )
        self.endpoint = Watched(config, counted_tokens(name))
        self.endpoint.watcher = Watcher(self.endpoint)
        self.events: list[SipEvent] = []
        link.join(address, self.endpoint, self.hear)

    def hear(self, event: SipEvent) -> None:
        self.events.append(event)
        if isinstance(event, InviteReceived):
            leg = event.leg
            self.link.later(0.1, lambda: self.do("ring", leg, status=183, sdp=ANSWER))
            self.link.later(0.4, lambda: self.do("accept", leg, ANSWER))
        elif isinstance(event, OfferReceived):
            self.do("answer_offer", event.leg, ANSWER)

    def do(self, command: str, *args: Any, **kwargs: Any) -> None:
        try:
            effects = getattr(self.endpoint, command)(*args, now=self.link.now, **kwargs)
        except SipError as error:
            if error.code not in ("no_such_leg", "bad_state"):
                raise
            return
        self.endpoint.watcher.outgoing(effects, self.link.now)
        self.link.perform(self.address, effects)

    def call(self, target: Address) -> str:
        leg, effects = self.endpoint.invite(
            "sip:bob@127.0.0.1",
            from_uri="sip:a@127.0.0.1",
            sdp=OFFER,
            destination=target,
            now=self.link.now,
        )
        self.endpoint.watcher.placed(leg)
        self.endpoint.watcher.outgoing(effects, self.link.now)
        self.link.perform(self.address, effects)
        return leg

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


class Tap:
    """What both ends sent: RAck names what RSeq said, and RSeq rises by one."""

    def __init__(self, link: LossyLink) -> None:
        self.rseq: list[int] = []
        self.acknowledged: list[int] = []
        self.refreshes: list[str] = []
        link.wiretap = self.sent

    def sent(self, _now: float, _source: Address, _destination: Address, data: bytes) -> None:
        message = parse_datagram(data)
        if isinstance(message, Response):
            number = message.headers.get("RSeq")
            if number is not None and int(number) not in self.rseq:
                assert not self.rseq or int(number) == self.rseq[-1] + 1
                self.rseq.append(int(number))
        elif isinstance(message, Request) and message.rack is not None:
            assert message.rack.rseq in self.rseq
            assert message.rack.method == "INVITE"
            self.acknowledged.append(message.rack.rseq)
        elif isinstance(message, Request) and message.to.tag and "Session-Expires" in message.headers:
            self.refreshes.append(message.method)


@pytest.mark.parametrize("refresher", ["auto", "us"])
@pytest.mark.parametrize("part", range(5))
def test_long_calls_at_ten_percent_loss_stay_up_and_leave_nothing(refresher: str, part: int) -> None:
    for seed in range(part * 8, part * 8 + 8):
        dice = random.Random(seed)
        link = LossyLink(seed)
        tap = Tap(link)
        a, b = Side(link, A, "a", refresher), Side(link, B, "b", refresher)
        leg = a.call(B)
        for _ in range(3):
            at = dice.uniform(20, 290)
            who = dice.choice(("a", "b", "both"))
            if who != "b":
                link.later(at, lambda a=a, leg=leg: a.do("offer", leg, OFFER))
            if who != "a":
                link.later(at, lambda b=b: b.do("update", b.of(InviteReceived)[0].leg, OFFER))
        link.later(300, lambda a=a, leg=leg: a.do("hang_up", leg))
        link.run(600)
        assert len(a.of(Answered)) == len(b.of(Confirmed)) == 1, seed
        assert len(a.of(Ended)) == len(b.of(Ended)) == 1
        ends = {a.of(Ended)[0].by, b.of(Ended)[0].by}
        assert ends <= {"us", "peer", "expired"}, (seed, ends)
        assert tap.rseq
        assert set(tap.acknowledged) == set(tap.rseq)
        assert tap.refreshes
        for side in (a, b):
            side.endpoint.watcher.over()


def test_a_quiet_network_sees_one_refresh_for_each_half_interval() -> None:
    link = LossyLink(1, loss=0, duplicate=0, delay=(0.01, 0.02))
    tap = Tap(link)
    a, b = Side(link, A, "a", "auto"), Side(link, B, "b", "auto")
    leg = a.call(B)
    link.run(460)
    assert tap.refreshes == ["UPDATE"] * 10
    assert len(a.of(SessionRefreshed)) == 10
    a.do("hang_up", leg)
    link.run(600)
    assert (a.of(Ended)[0].by, b.of(Ended)[0].by) == ("us", "peer")
