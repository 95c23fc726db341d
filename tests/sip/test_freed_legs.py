"""A leg that has ended in good order is freed by its reference counts, once its transactions are over."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.kit.collector import left_to_the_collector, no_collector
from tests.sip.ladder import ANSWER, OFFER, Ladder, Phone
from voiceagent.sip.effects import Ended, InviteReceived

__all__ = ["no_collector"]


def world() -> Ladder:
    return Ladder(session_expires=1800, reliable_provisionals="supported", allow_refer=True)


def called(ladder: Ladder, *headers: str) -> tuple[Phone, str]:
    phone = Phone()
    ladder.receive(phone.request("INVITE", OFFER, *headers))
    return phone, ladder.event(InviteReceived).leg


def answered(ladder: Ladder, *headers: str) -> tuple[Phone, str]:
    phone, leg = called(ladder, *headers)
    ladder.do("accept", leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("ACK", cseq=phone.cseq))
    return phone, leg


def the_caller_hangs_up(ladder: Ladder) -> None:
    phone, _ = answered(ladder)
    ladder.receive(phone.request("BYE"))


def we_hang_up(ladder: Ladder) -> None:
    phone, leg = answered(ladder, "Supported: timer", "Session-Expires: 1800;refresher=uas")
    ladder.do("hang_up", leg)
    ladder.receive(phone.reply(ladder.request(), 200))


def a_long_call(ladder: Ladder) -> None:
    phone, _ = answered(ladder)
    ladder.advance(60)
    ladder.receive(phone.request("BYE"))


def we_refuse(ladder: Ladder) -> None:
    phone, leg = called(ladder)
    ladder.do("reject", leg, 486, "")
    ladder.receive(phone.request("ACK", cseq=phone.cseq, branch="z9hG4bK-call-1-1"))


def the_caller_gives_up(ladder: Ladder) -> None:
    phone, leg = called(ladder)
    ladder.do("ring", leg)
    ladder.receive(phone.request("CANCEL", cseq=phone.cseq, branch="z9hG4bK-call-1-1"))


def rung_reliably(ladder: Ladder) -> None:
    phone, leg = called(ladder, "Supported: 100rel")
    ladder.do("ring", leg, status=183, sdp=ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    rseq = ladder.response().headers.get("RSeq")
    ladder.receive(phone.request("PRACK", b"", f"RAck: {rseq} 1 INVITE"))
    ladder.do("accept", leg, ANSWER)
    ladder.receive(phone.request("ACK", cseq=1))
    ladder.receive(phone.request("BYE"))


def held_by_us(ladder: Ladder) -> None:
    phone, leg = answered(ladder)
    ladder.do("offer", leg, OFFER)
    ladder.receive(phone.reply(ladder.request(), 200, ANSWER))
    ladder.receive(phone.request("BYE"))


def held_by_them(ladder: Ladder) -> None:
    phone, leg = answered(ladder)
    ladder.receive(phone.request("INVITE", OFFER))
    ladder.do("answer_offer", leg, ANSWER)
    ladder.receive(phone.request("ACK", cseq=phone.cseq))
    ladder.receive(phone.request("BYE"))


def referred(ladder: Ladder) -> None:
    phone, leg = answered(ladder)
    ladder.do("refer", leg, "sip:200@127.0.0.1")
    ladder.receive(phone.reply(ladder.request(), 202))
    ladder.receive(
        phone.request(
            "NOTIFY",
            b"SIP/2.0 200 OK\r\n",
            "Event: refer",
            "Subscription-State: terminated;reason=noresource",
            content_type="message/sipfrag;version=2.0",
        )
    )
    ladder.receive(phone.request("BYE"))


def a_callee_answers(ladder: Ladder) -> None:
    phone, leg = Phone(), ladder.invite()
    invite = ladder.request()
    ladder.receive(phone.reply(invite, 180))
    ladder.receive(phone.reply(invite, 200, ANSWER))
    ladder.do("hang_up", leg)
    ladder.receive(phone.reply(ladder.request(), 200))


def a_callee_refuses(ladder: Ladder) -> None:
    ladder.invite()
    ladder.receive(Phone().reply(ladder.request(), 486))


def a_callee_wants_longer_sessions(ladder: Ladder) -> None:
    phone = Phone()
    ladder.invite()
    ladder.receive(phone.reply(ladder.request(), 422, b"", "Min-SE: 3600"))
    invite = ladder.request()
    ladder.receive(phone.reply(invite, 200, ANSWER))
    ladder.receive(phone.from_callee(invite, "BYE"))


def we_give_up(ladder: Ladder) -> None:
    phone, leg = Phone(), ladder.invite()
    invite = ladder.request()
    ladder.receive(phone.reply(invite, 180))
    ladder.do("hang_up", leg)
    ladder.receive(phone.reply(ladder.request(), 200))
    ladder.receive(phone.reply(invite, 487))


WAYS: tuple[Callable[[Ladder], None], ...] = (
    the_caller_hangs_up,
    we_hang_up,
    a_long_call,
    we_refuse,
    the_caller_gives_up,
    rung_reliably,
    held_by_us,
    held_by_them,
    referred,
    a_callee_answers,
    a_callee_refuses,
    a_callee_wants_longer_sessions,
    we_give_up,
)


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("way", WAYS, ids=[way.__name__ for way in WAYS])
def test_an_ended_leg_leaves_nothing_to_the_collector(way: Callable[[Ladder], None]) -> None:
    ladder = world()
    way(ladder)
    assert len(ladder.events(Ended)) == 1
    ladder.settle()
    ladder.nothing_left()
    assert not left_to_the_collector("voiceagent.sip")
