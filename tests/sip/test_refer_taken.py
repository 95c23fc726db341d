"""REFER of the peer: taken or refused by the application, told by NOTIFY, also after the call."""

from __future__ import annotations

import pytest

from tests.sip.ladder import Ladder, Phone, established
from voiceagent.sip.effects import ReferReceived
from voiceagent.sip.syntax.message import Request

TO_DESK = "Refer-To: <sip:200@127.0.0.1:5099>"


def referred(*headers: str) -> tuple[Ladder, Phone, str, int]:
    """A REFER is open; returns its number."""
    ladder, phone, leg = established(allow_refer=True, supported=("replaces", "norefersub"))
    ladder.receive(phone.request("REFER", b"", TO_DESK, *headers))
    return ladder, phone, leg, ladder.event(ReferReceived).refer


def taken() -> tuple[Ladder, Phone, str, int]:
    """A REFER was accepted and its first NOTIFY answered."""
    ladder, phone, leg, number = referred()
    ladder.do("accept_refer", leg, number)
    ladder.receive(phone.reply(ladder.request(), 200, tag=""))
    return ladder, phone, leg, number


def test_a_transfer_that_succeeds_is_told_step_by_step() -> None:
    ladder, phone, leg, number = taken()
    for status, reason in ((180, "Ringing"), (200, "OK")):
        ladder.do("refer_outcome", leg, status, reason)
        notify = ladder.request()
        assert notify.body == f"SIP/2.0 {status} {reason}\r\n".encode()
        assert notify.headers.get("Event") == f"refer;id={number}"
        ladder.receive(phone.reply(notify, 200, tag=""))
    assert notify.headers.get("Subscription-State") == "terminated;reason=noresource"
    ladder.do("hang_up", leg)
    ladder.receive(phone.reply(ladder.request(), 200, tag=""))
    ladder.shows("""
        >> REFER
        ** ReferReceived sip:200@127.0.0.1:5099
        << 202 REFER
        << NOTIFY
        >> 200 NOTIFY
        << NOTIFY
        >> 200 NOTIFY
        << NOTIFY
        >> 200 NOTIFY
        << BYE
        ** Ended us
        >> 200 BYE
    """)
    ladder.settle()
    ladder.nothing_left()


@pytest.mark.parametrize("status", [403, 603, 491])
def test_the_application_may_refuse(status: int) -> None:
    ladder, _, leg, number = referred()
    ladder.do("refuse_refer", leg, number, status)
    assert ladder.response().status == status
    assert ladder.do("accept_refer", leg, number) == []
    assert ladder.do("refer_outcome", leg, 200, "OK") == []


def test_an_application_that_does_not_answer_declines() -> None:
    ladder, _, _, _ = referred()
    ladder.advance(3.9)
    ladder.skip()
    ladder.advance(0.2)
    ladder.shows("<< 603 REFER")


def test_a_peer_that_wants_no_notify_gets_none() -> None:
    ladder, _, leg, number = referred("Refer-Sub: false", "Require: norefersub")
    ladder.do("accept_refer", leg, number)
    answer = ladder.response()
    assert (answer.status, answer.headers.get("Refer-Sub")) == (200, "false")
    assert ladder.do("refer_outcome", leg, 200, "OK") == []


def test_what_is_to_be_called_is_told_apart() -> None:
    ladder, phone, _ = established(allow_refer=True)
    ladder.receive(
        phone.request(
            "REFER",
            b"",
            "Refer-To: <sip:200@127.0.0.1:5099;method=INVITE;user=phone"
            "?Replaces=a%40b%3Bto-tag%3Dt1%3Bfrom-tag%3Df1&Require=replaces>",
            "Referred-By: <sip:boss@example.com>",
        )
    )
    event = ladder.event(ReferReceived)
    assert event.target == "sip:200@127.0.0.1:5099;user=phone"
    assert event.replaces == "a@b;to-tag=t1;from-tag=f1"
    assert event.referred_by == "<sip:boss@example.com>"
    assert event.method == "INVITE"


@pytest.mark.parametrize(
    "refer_to",
    [
        "<sip:200@127.0.0.1?Replaces=a%0D%0AX-Evil%3A1%3Bto-tag%3Dt%3Bfrom-tag%3Df>",
        "<sip:200@127.0.0.1?Replaces=nothing>",
        "<sip:200@127.0.0.1",
        "<sip:>",
        "two, three",
    ],
)
def test_what_cannot_be_read_is_400_and_told_to_nobody(refer_to: str) -> None:
    ladder, phone, _ = established(allow_refer=True)
    ladder.receive(phone.request("REFER", b"", f"Refer-To: {refer_to}"))
    assert ladder.response().status == 400
    assert ladder.events(ReferReceived) == []


def test_out_of_a_dialog_it_is_403() -> None:
    ladder, phone = Ladder(allow_refer=True), Phone()
    ladder.receive(phone.request("REFER", b"", TO_DESK))
    assert ladder.response().status == 403
    assert ladder.events(ReferReceived) == []


def test_two_transfers_are_told_apart_by_their_number() -> None:
    ladder, phone, leg, first = taken()
    ladder.receive(phone.request("REFER", b"", "Refer-To: <sip:300@127.0.0.1>"))
    second = ladder.event(ReferReceived).refer
    ladder.do("accept_refer", leg, second)
    ladder.receive(phone.reply(ladder.request(), 200, tag=""))
    ladder.do("refer_outcome", leg, 486, "Busy Here", number=second)
    assert ladder.request().headers.get("Event") == f"refer;id={second}"
    ladder.do("refer_outcome", leg, 200, "OK", number=first)
    assert ladder.request().headers.get("Event") == f"refer;id={first}"


def test_so_many_at_once_and_no_more() -> None:
    ladder, phone, _, _ = taken()
    for _ in range(3):
        ladder.receive(phone.request("REFER", b"", TO_DESK))
    assert len(ladder.events(ReferReceived)) == 4
    ladder.receive(phone.request("REFER", b"", TO_DESK))
    assert ladder.response().status == 491


def test_a_notify_waits_for_the_one_before_it() -> None:
    ladder, phone, leg, number = referred()
    ladder.do("accept_refer", leg, number)
    trying = ladder.request()
    ladder.do("refer_outcome", leg, 180, "Ringing")
    ladder.do("refer_outcome", leg, 200, "OK")
    ladder.do("refer_outcome", leg, 486, "too late")
    assert ladder.request() is not trying
    assert ladder.request().body == b"SIP/2.0 100 Trying\r\n"
    ladder.receive(phone.reply(trying, 200, tag=""))
    assert ladder.request().body == b"SIP/2.0 200 OK\r\n"
    ladder.shows("""
        >> REFER
        ** ReferReceived sip:200@127.0.0.1:5099
        << 202 REFER
        << NOTIFY
        >> 200 NOTIFY
        << NOTIFY
    """)


def test_a_lost_notify_is_sent_again_and_one_in_vain_ends_the_matter() -> None:
    ladder, _, leg, number = referred()
    ladder.do("accept_refer", leg, number)
    ladder.skip()
    ladder.advance(1.6)
    ladder.shows(
        """
        0.50 << NOTIFY
        1.50 << NOTIFY
    """,
        times=True,
    )
    ladder.advance(40)
    ladder.skip()
    assert ladder.do("refer_outcome", leg, 200, "OK") == []


def test_a_peer_that_knows_nothing_of_it_is_told_nothing_more() -> None:
    ladder, phone, leg, number = referred()
    ladder.do("accept_refer", leg, number)
    ladder.receive(phone.reply(ladder.request(), 481, tag=""))
    assert ladder.do("refer_outcome", leg, 200, "OK") == []


def test_the_outcome_is_told_after_the_referrer_has_hung_up() -> None:
    ladder, phone, leg, _ = taken()
    ladder.receive(phone.request("BYE"))
    ladder.do("refer_outcome", leg, 200, "OK")
    notify = ladder.request()
    assert notify.body == b"SIP/2.0 200 OK\r\n"
    ladder.receive(phone.reply(notify, 200, tag=""))
    ladder.settle()
    ladder.nothing_left()


def test_a_subscription_runs_out() -> None:
    ladder, phone, leg, _ = taken()
    ladder.skip()
    ladder.advance(181)
    told = ladder.request()
    assert told.headers.get("Subscription-State") == "terminated;reason=timeout"
    ladder.receive(phone.reply(told, 200, tag=""))
    assert ladder.do("refer_outcome", leg, 200, "OK") == []


def test_a_bye_before_the_answer_leaves_nothing_open() -> None:
    ladder, phone, leg, number = referred()
    ladder.receive(phone.request("BYE"))
    assert 481 in {m.status for m in (ladder.sent(-1), ladder.sent(-2)) if not isinstance(m, Request)}
    assert ladder.do("accept_refer", leg, number) == []
    ladder.settle()
    ladder.nothing_left()
