"""Two endpoints over a network that loses one datagram in ten: every call ends, once, on both sides."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.kit.lossy_link import LossyLink
from tests.sip.ladder import ANSWER, OFFER
from voiceagent.errors import SipError
from voiceagent.ids import counted_tokens
from voiceagent.sip.config import EndpointConfig
from voiceagent.sip.effects import (
    Address,
    Answered,
    AnswerReceived,
    Confirmed,
    Ended,
    InviteReceived,
    OfferReceived,
    SipEvent,
)
from voiceagent.sip.endpoint import SipEndpoint

A = Address("127.0.0.1", 5061)
B = Address("127.0.0.1", 5062)


class Side:
    """One endpoint with an application that does what the scenario says."""

    def __init__(self, link: LossyLink, address: tuple[str, int], name: str) -> None:
        self.link = link
        self.address = address
        self.endpoint = SipEndpoint(EndpointConfig(local=address), counted_tokens(name))
        self.events: list[SipEvent] = []
        self.refused = Counter[str]()
        self.answer_after: float | None = 0.5
        self.refuse_with: int | None = None
        link.join(address, self.endpoint, self.hear)

    def hear(self, event: SipEvent) -> None:
        self.events.append(event)
        if isinstance(event, InviteReceived):
            leg = event.leg
            self.link.later(0.1, lambda: self.do("ring", leg))
            if self.refuse_with is not None:
                self.link.later(0.4, lambda: self.do("reject", leg, self.refuse_with, ""))
            elif self.answer_after is not None:
                self.link.later(self.answer_after, lambda: self.do("accept", leg, ANSWER))
        elif isinstance(event, OfferReceived):
            self.do("answer_offer", event.leg, ANSWER)

    def do(self, command: str, *args: object) -> None:
        try:
            effects = getattr(self.endpoint, command)(*args, now=self.link.now)
        except SipError as error:
            self.refused[error.code] += 1
            return
        self.link.perform(self.address, effects)

    def call(self, target: tuple[str, int]) -> str:
        leg, effects = self.endpoint.invite(
            f"sip:bob@{target[0]}:{target[1]}",
            from_uri="sip:a@127.0.0.1",
            sdp=OFFER,
            destination=target,
            now=self.link.now,
        )
        self.link.perform(self.address, effects)
        return leg

    def ends(self) -> Counter[str]:
        return Counter(event.leg for event in self.events if isinstance(event, Ended))

    def of(self, kind: type[SipEvent]) -> list[SipEvent]:
        return [event for event in self.events if isinstance(event, kind)]

    def nothing_left(self) -> None:
        figures = self.endpoint.figures()
        left = (
            figures.legs,
            figures.dialogs,
            figures.server_transactions,
            figures.client_transactions,
            figures.timers,
        )
        assert left == (0, 0, 0, 0, 0), figures


def pair(seed: int, **quality: float) -> tuple[LossyLink, Side, Side]:
    link = LossyLink(seed, **quality)
    return link, Side(link, A, "a"), Side(link, B, "b")


def told_once(*sides: Side) -> None:
    for side in sides:
        assert set(side.ends().values()) <= {1}
        assert set(side.refused) <= {"no_such_leg", "bad_state"}
        side.nothing_left()


def test_the_same_seed_gives_the_same_run() -> None:
    def run() -> tuple[int, int, list[str]]:
        link, a, b = pair(7)
        leg = a.call(B)
        link.later(5, lambda: a.do("hang_up", leg))
        link.run(120)
        return link.sent, link.lost, [repr(event) for event in (*a.events, *b.events)]

    assert run() == run()


def test_a_thousand_calls_at_ten_percent_loss_all_connect_and_end() -> None:
    connected = 0
    for seed in range(1000):
        link, a, b = pair(seed)
        leg = a.call(B)
        ending = random.Random(seed).choice(("caller", "callee", "both"))
        if ending in ("caller", "both"):
            link.later(6, lambda a=a, leg=leg: a.do("hang_up", leg))
        if ending in ("callee", "both"):
            link.later(6, lambda b=b: b.do("hang_up", next(iter(b.of(InviteReceived))).leg))  # type: ignore[attr-defined]
        link.run(200)
        assert len(b.of(InviteReceived)) == 1, seed
        assert len(a.of(Answered)) <= 1
        assert len(b.of(Confirmed)) <= 1
        connected += len(a.of(Answered)) and len(b.of(Confirmed))
        told_once(a, b)
        assert len(a.ends()) == len(b.ends()) == 1
    assert connected == 1000


@pytest.mark.parametrize("seed", range(30))
def test_refused_cancelled_and_unanswered_calls_leave_nothing(seed: int) -> None:
    dice = random.Random(seed)
    link, a, b = pair(seed, loss=0.2, duplicate=0.1)
    kind = ("refused", "cancelled", "crossing")[seed % 3]
    if kind == "refused":
        b.refuse_with = 486
    elif kind == "cancelled":
        b.answer_after = None
    leg = a.call(B)
    if kind != "refused":
        link.later(dice.uniform(0.3, 1.5), lambda: a.do("hang_up" if kind == "crossing" else "cancel", leg))
    link.run(400)
    told_once(a, b)
    assert len(a.ends()) == 1
    assert len(b.ends()) == len(b.of(InviteReceived))


@pytest.mark.parametrize("seed", range(30))
def test_offers_from_both_sides_settle(seed: int) -> None:
    dice = random.Random(seed)
    link, a, b = pair(seed, loss=0.1, duplicate=0.05)
    leg = a.call(B)
    start = 8.0
    for _ in range(3):
        start += dice.uniform(0.0, 3.0)
        link.later(start, lambda: a.do("offer", leg, OFFER))
        link.later(
            start + dice.uniform(0, 0.1),
            lambda: b.do("offer", b.of(InviteReceived)[0].leg, OFFER),  # type: ignore[attr-defined]
        )
    link.later(90, lambda: a.do("hang_up", leg))
    link.run(300)
    told_once(a, b)
    for side in (a, b):
        assert {event.status for event in side.of(AnswerReceived)} <= {200, 491}  # type: ignore[attr-defined]
    if not any(event.by == "failed" for event in a.of(Ended)):  # type: ignore[attr-defined]
        assert a.of(AnswerReceived) or b.of(AnswerReceived)


@pytest.mark.parametrize("silent_after", [0.05, 0.3, 0.7, 2.0, 10.0])
def test_a_network_that_goes_dark_leaves_nothing(silent_after: float) -> None:
    link, a, b = pair(3, loss=0.0)

    def dark() -> None:
        link.loss = 1.0

    leg = a.call(B)
    link.later(silent_after, dark)
    link.later(12, lambda: a.do("hang_up", leg))
    link.later(13, lambda: [b.do("hang_up", event.leg) for event in b.of(InviteReceived)])  # type: ignore[attr-defined]
    link.run(500)
    told_once(a, b)
    assert len(a.ends()) == 1


def test_two_thousand_abandoned_invites_leave_nothing() -> None:
    from tests.sip.ladder import Ladder, Phone

    ladder = Ladder(setup_limit=30.0)
    for n in range(2_000):
        ladder.receive(Phone(call_id=f"c{n}").request("INVITE", OFFER))
    assert ladder.endpoint.figures().legs == 2_000
    ladder.effects.clear()
    ladder.advance(90)
    ladder.nothing_left()
