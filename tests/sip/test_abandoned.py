"""Ten thousand calls that the other side abandons, in eighteen ways, on virtual time: nothing is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tests.kit.collector import left_to_the_collector, no_collector
from tests.sip.ladder import ANSWER, OFFER, PHONE, Ladder, Phone
from voiceagent.sip.effects import Ended, InviteReceived, SendDatagram
from voiceagent.sip.syntax.message import Request
from voiceagent.sip.syntax.parser import parse_datagram

__all__ = ["no_collector"]

CALLS = 10_000
TIMED = ("Supported: timer, 100rel", "Session-Expires: 90")


class Crowd:
    """One endpoint, and callers and callees of which none does its part to the end."""

    def __init__(self) -> None:
        self.ladder = Ladder(
            setup_limit=60.0,
            refer_limit=60.0,
            session_expires=90,
            reliable_provisionals="supported",
            allow_refer=True,
        )
        self.ended: Counter[str] = Counter()
        self.told: Counter[str] = Counter()
        self.calls = 0

    def take(self, effects: list[object]) -> None:
        for effect in effects:
            if isinstance(effect, Ended):
                self.told[effect.leg] += 1
                self.ended[effect.by] += 1

    def receive(self, data: bytes) -> list[object]:
        effects: list[object] = list(self.ladder.endpoint.receive(data, PHONE, self.ladder.now))
        self.take(effects)
        return effects

    def do(self, command: str, *args: object, **kwargs: object) -> list[object]:
        effects = list(getattr(self.ladder.endpoint, command)(*args, now=self.ladder.now, **kwargs))
        self.take(effects)
        return effects

    def caller(self, *headers: str, offer: bytes = OFFER) -> tuple[Phone, str]:
        """Somebody calls us."""
        self.calls += 1
        phone = Phone(call_id=f"in-{self.calls}")
        effects = self.receive(phone.request("INVITE", offer, *headers))
        return phone, next(effect.leg for effect in effects if isinstance(effect, InviteReceived))

    def answered(self, *headers: str, ack: bool = True) -> tuple[Phone, str]:
        """Somebody calls us and is answered."""
        phone, leg = self.caller(*headers)
        sent = self.do("accept", leg, ANSWER)
        message = parse_datagram(next(one.data for one in sent if isinstance(one, SendDatagram)))
        phone.to_tag = message.to.tag or ""  # type: ignore[union-attr]
        if ack:
            self.receive(phone.request("ACK", cseq=phone.cseq))
        return phone, leg

    def callee(self) -> tuple[str, Request]:
        """We call somebody."""
        self.calls += 1
        leg, effects = self.ladder.endpoint.invite(
            "sip:bob@127.0.0.1:5090",
            from_uri="sip:agent@127.0.0.1",
            sdp=OFFER,
            destination=PHONE,
            now=self.ladder.now,
        )
        message = parse_datagram(next(one.data for one in effects if isinstance(one, SendDatagram)))
        assert isinstance(message, Request)
        return leg, message

    def pass_time(self, seconds: float) -> None:
        endpoint, until = self.ladder.endpoint, self.ladder.now + seconds
        while (due := endpoint.wake_at()) is not None and due <= until:
            self.ladder.now = max(self.ladder.now, due)
            self.take(list(endpoint.wake(self.ladder.now)))
        self.ladder.now = until


# Each abandons one call.


def never_answered_by_us(crowd: Crowd) -> None:
    crowd.caller()


def refused_and_no_ack(crowd: Crowd) -> None:
    _, leg = crowd.caller()
    crowd.do("reject", leg, 486, "")


def no_ack(crowd: Crowd) -> None:
    crowd.answered(ack=False)


def no_ack_and_we_hang_up(crowd: Crowd) -> None:
    _, leg = crowd.answered(ack=False)
    crowd.do("hang_up", leg)


def no_prack(crowd: Crowd) -> None:
    _, leg = crowd.caller("Require: 100rel")
    crowd.do("ring", leg)


def no_prack_and_we_accept(crowd: Crowd) -> None:
    _, leg = crowd.caller("Supported: 100rel")
    crowd.do("ring", leg, status=183, sdp=ANSWER)
    crowd.do("accept", leg, ANSWER)


def our_bye_is_lost(crowd: Crowd) -> None:
    _, leg = crowd.answered()
    crowd.do("hang_up", leg)


def their_bye_is_lost_and_they_were_to_refresh(crowd: Crowd) -> None:
    crowd.answered(*TIMED)


def their_bye_is_lost_and_we_refresh(crowd: Crowd) -> None:
    crowd.answered()


def gone_within_a_reinvite_of_theirs(crowd: Crowd) -> None:
    phone, leg = crowd.answered()
    crowd.receive(phone.request("INVITE", OFFER))
    crowd.do("answer_offer", leg, ANSWER)


def gone_within_an_update_of_ours(crowd: Crowd) -> None:
    _, leg = crowd.answered()
    crowd.do("update", leg, OFFER)


def gone_when_probed(crowd: Crowd) -> None:
    _, leg = crowd.answered("Supported: timer")
    crowd.do("probe", leg)


def refer_without_notify(crowd: Crowd) -> None:
    _, leg = crowd.answered(*TIMED)
    crowd.do("refer", leg, "sip:200@127.0.0.1")


def a_callee_that_says_nothing(crowd: Crowd) -> None:
    crowd.callee()


def an_early_dialog_for_ever(crowd: Crowd) -> None:
    _, invite = crowd.callee()
    for number, tag in enumerate(("one", "two"), 1):
        crowd.receive(Phone().reply(invite, 183, ANSWER, "Require: 100rel", f"RSeq: {number}", tag=tag))


def our_cancel_is_lost(crowd: Crowd) -> None:
    leg, invite = crowd.callee()
    crowd.receive(Phone().reply(invite, 180))
    crowd.do("cancel", leg)


def gone_after_their_answer(crowd: Crowd) -> None:
    _, invite = crowd.callee()
    crowd.receive(Phone().reply(invite, 200, ANSWER, "Session-Expires: 90;refresher=uas"))


def crossing_answer_and_hang_up(crowd: Crowd) -> None:
    leg, invite = crowd.callee()
    crowd.do("hang_up", leg)
    crowd.receive(Phone().reply(invite, 200, ANSWER))


WAYS: tuple[Callable[[Crowd], None], ...] = (
    never_answered_by_us,
    refused_and_no_ack,
    no_ack,
    no_ack_and_we_hang_up,
    no_prack,
    no_prack_and_we_accept,
    our_bye_is_lost,
    their_bye_is_lost_and_they_were_to_refresh,
    their_bye_is_lost_and_we_refresh,
    gone_within_a_reinvite_of_theirs,
    gone_within_an_update_of_ours,
    gone_when_probed,
    refer_without_notify,
    a_callee_that_says_nothing,
    an_early_dialog_for_ever,
    our_cancel_is_lost,
    gone_after_their_answer,
    crossing_answer_and_hang_up,
)


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("way", WAYS, ids=[way.__name__ for way in WAYS])
def test_each_way_alone_ends_once_and_leaves_nothing(way: Callable[[Crowd], None]) -> None:
    crowd = Crowd()
    way(crowd)
    crowd.pass_time(200)
    assert sum(crowd.ended.values()) == crowd.calls == 1
    crowd.ladder.nothing_left()
    assert not left_to_the_collector("voiceagent.sip")


@pytest.mark.usefixtures("no_collector")
def test_ten_thousand_abandoned_calls_leave_nothing() -> None:
    crowd = Crowd()
    for number in range(CALLS):
        WAYS[number % len(WAYS)](crowd)
    assert crowd.ladder.endpoint.figures().timers >= CALLS / 2
    crowd.pass_time(200)
    assert crowd.calls == CALLS
    assert len(crowd.told) == CALLS
    assert set(crowd.told.values()) == {1}
    assert set(crowd.ended) == {"rejected", "no_ack", "us", "timeout", "expired", "failed"}
    crowd.ladder.nothing_left()
    core = crowd.ladder.endpoint._core  # pyright: ignore[reportPrivateUsage]
    assert not core.callees
    assert not core.referrers
