"""Outbound calls: set-up, forks, CANCEL, and the crossings."""

from __future__ import annotations

import pytest

from tests.sip.ladder import ANSWER, OFFER, Ladder, Phone, calling
from voiceagent.errors import SipError
from voiceagent.sip.effects import Address, Answered, AnswerReceived, Ended, InviteProgress


def test_a_whole_call() -> None:
    ladder, phone = Ladder(), Phone()
    leg = ladder.invite(headers=[("X-Job", "42")], from_name='The "Agent"')
    invite = ladder.request()
    assert invite.headers.get("X-Job") == "42"
    assert invite.from_.display == 'The "Agent"'
    assert (invite.uri, invite.body, invite.max_forwards) == ("sip:bob@127.0.0.1:5090", OFFER, 70)
    ladder.receive(phone.reply(invite, 100))
    ladder.receive(phone.reply(invite, 180))
    ladder.receive(phone.reply(invite, 183, ANSWER))
    assert ladder.event(InviteProgress).answer == ANSWER
    ladder.receive(phone.reply(invite, 200, ANSWER))
    ack = ladder.request()
    assert (ack.cseq.number, ack.uri, ack.to.tag) == (1, "sip:bob@127.0.0.1:5090", "callee")
    assert ack.via.branch != invite.via.branch
    assert ladder.event(Answered).sdp == ANSWER
    ladder.do("hang_up", leg)
    ladder.receive(phone.reply(ladder.request(), 200))
    ladder.shows("""
        << INVITE
        >> 100 INVITE
        >> 180 INVITE
        ** InviteProgress 180
        >> 183 INVITE
        ** InviteProgress 183
        >> 200 INVITE
        << ACK
        ** Answered
        << BYE
        ** Ended us
        >> 200 BYE
    """)
    ladder.settle()
    ladder.nothing_left()


def test_the_callee_hangs_up() -> None:
    ladder, phone, _, invite = calling()
    ladder.receive(phone.from_callee(invite, "BYE"))
    ladder.shows("""
        >> BYE
        << 200 BYE
        ** Ended peer
    """)
    ladder.settle()
    ladder.nothing_left()


@pytest.mark.parametrize("status", [302, 404, 407, 486, 503, 603])
def test_a_refusal_is_acknowledged_and_told(status: int) -> None:
    ladder, phone = Ladder(), Phone()
    ladder.invite()
    ladder.receive(phone.reply(ladder.request(), status, reason="Because"))
    ended = ladder.event(Ended)
    assert (ended.by, ended.status, ended.reason) == ("rejected", status, "Because")
    ladder.settle()
    ladder.nothing_left()


def test_cancel_waits_for_a_provisional_response() -> None:
    ladder, phone = Ladder(), Phone()
    leg = ladder.invite()
    invite = ladder.request()
    ladder.do("cancel", leg)
    ladder.receive(phone.reply(invite, 180))
    cancel = ladder.request()
    assert (cancel.via.branch, cancel.uri, cancel.cseq.number) == (invite.via.branch, invite.uri, 1)
    assert cancel.to.tag is None
    ladder.receive(phone.reply(cancel, 200))
    ladder.receive(phone.reply(invite, 487))
    ladder.shows("""
        << INVITE
        ** Ended us 487
        >> 180 INVITE
        << CANCEL
        >> 200 CANCEL
        >> 487 INVITE
        << ACK
    """)
    ladder.settle()
    ladder.nothing_left()


def test_hang_up_while_it_rings_cancels() -> None:
    ladder, phone = Ladder(), Phone()
    leg = ladder.invite()
    invite = ladder.request()
    ladder.receive(phone.reply(invite, 180))
    ladder.do("hang_up", leg)
    ladder.shows("""
        << INVITE
        >> 180 INVITE
        ** InviteProgress 180
        << CANCEL
        ** Ended us 487
    """)


def test_an_answer_that_crosses_the_cancel_is_acknowledged_and_ended() -> None:
    ladder, phone = Ladder(), Phone()
    leg = ladder.invite()
    invite = ladder.request()
    ladder.receive(phone.reply(invite, 180))
    ladder.do("cancel", leg)
    ladder.receive(phone.reply(invite, 200, ANSWER))
    bye = ladder.request()
    ladder.receive(phone.reply(bye, 200))
    ladder.shows("""
        << INVITE
        >> 180 INVITE
        ** InviteProgress 180
        << CANCEL
        ** Ended us 487
        >> 200 INVITE
        << ACK
        << BYE
        >> 200 BYE
    """)
    assert ladder.events(Answered) == []
    ladder.settle()
    ladder.nothing_left()


def test_a_cancel_that_leads_to_nothing_is_given_up_after_64_t1() -> None:
    ladder, phone = Ladder(), Phone()
    leg = ladder.invite()
    invite = ladder.request()
    ladder.receive(phone.reply(invite, 180))
    ladder.do("cancel", leg)
    ladder.receive(phone.reply(ladder.request(), 200))
    ladder.advance(31)
    assert ladder.endpoint.figures().client_transactions == 1
    ladder.advance(2)
    ladder.nothing_left()


def test_a_callee_that_rings_for_ever_is_given_up() -> None:
    ladder, phone = Ladder(setup_limit=90.0), Phone()
    ladder.invite()
    ladder.receive(phone.reply(ladder.request(), 180))
    ladder.skip()
    ladder.advance(90)
    ladder.shows("""
        << CANCEL
        ** Ended timeout 408
    """)
    ladder.settle()
    ladder.nothing_left()


def test_forks_that_lose_are_acknowledged_and_ended() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.invite()
    invite = ladder.request()
    ladder.receive(phone.reply(invite, 180, tag="kitchen"))
    ladder.receive(phone.reply(invite, 180, tag="office"))
    assert ladder.endpoint.figures().dialogs == 2
    ladder.receive(phone.reply(invite, 200, ANSWER, tag="kitchen"))
    late = phone.reply(invite, 200, ANSWER, tag="office")
    ladder.receive(late)
    bye = ladder.request()
    assert bye.to.tag == "office"
    ladder.receive(late)
    assert (ladder.request().method, ladder.request().to.tag) == ("ACK", "office")
    ladder.receive(phone.reply(bye, 200))
    ladder.shows("""
        << INVITE
        >> 180 INVITE
        ** InviteProgress 180
        >> 180 INVITE
        ** InviteProgress 180
        >> 200 INVITE
        << ACK
        ** Answered
        >> 200 INVITE
        << ACK
        << BYE
        >> 200 INVITE
        << ACK
        >> 200 BYE
    """)
    assert ladder.endpoint.figures().dialogs == 1
    assert ladder.endpoint.figures().legs == 1


def test_record_route_is_followed_in_reverse() -> None:
    ladder, phone = Ladder(), Phone()
    leg = ladder.invite()
    routes = "Record-Route: <sip:127.0.0.4;lr>, <sip:127.0.0.3:5070;lr>"
    ladder.receive(phone.reply(ladder.request(), 200, ANSWER, routes))
    ack = ladder.request()
    assert [route.uri.host for route in ack.route] == ["127.0.0.3", "127.0.0.4"]
    assert ladder.last_send().destination == Address("127.0.0.3", 5070)
    ladder.do("hang_up", leg)
    assert [route.uri.host for route in ladder.request().route] == ["127.0.0.3", "127.0.0.4"]


def test_the_sequence_numbers_count_up() -> None:
    ladder, _phone, leg, _ = calling()
    numbers = list[int]()
    for command, args in (("send_info", ("application/dtmf", b"1")), ("probe", ()), ("refer", ("sip:x@y",))):
        ladder.do(command, leg, *args)
        numbers.append(ladder.request().cseq.number)
    ladder.do("hang_up", leg)
    assert [*numbers, ladder.request().cseq.number] == [2, 3, 4, 5]


def test_calls_beyond_the_limit_are_not_placed() -> None:
    ladder = Ladder(max_legs=1)
    ladder.invite()
    with pytest.raises(SipError) as caught:
        ladder.invite()
    assert caught.value.code == "too_many_legs"


def test_a_header_value_cannot_add_a_header() -> None:
    ladder = Ladder()
    ladder.invite(headers=[("X-Note", "a\r\nX-Evil: 1")])
    assert "X-Evil" not in ladder.request().headers


def test_responses_that_match_nothing_are_counted() -> None:
    ladder, phone, _, invite = calling()
    stray = phone.reply(invite, 200, ANSWER).replace(b"z9hG4bK", b"z9hG4bKnot")
    ladder.receive(stray)
    ladder.shows("""
        >> 200 INVITE
        ** Dropped stray_response
    """)


def test_a_response_with_two_vias_is_not_for_us() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.invite()
    ladder.receive(
        phone.reply(ladder.request(), 200, ANSWER, "Via: SIP/2.0/UDP other.invalid;branch=z9hG4bKo")
    )
    ladder.shows("""
        << INVITE
        >> 200 INVITE
        ** Dropped many_vias
    """)


def test_a_callee_off_the_allow_list_is_heard_in_its_dialog_only() -> None:
    ladder, phone = Ladder(accept_source=("192.0.2.0/24",)), Phone()
    leg = ladder.invite()
    invite = ladder.request()
    ladder.receive(phone.reply(invite, 200, ANSWER))
    ladder.receive(phone.request("INVITE", OFFER))
    ladder.receive(phone.from_callee(invite, "INFO"))
    ladder.do("hang_up", leg)
    ladder.receive(phone.reply(ladder.request(), 200))
    ladder.skip()
    ladder.settle()
    ladder.receive(phone.from_callee(invite, "INFO"))
    ladder.shows("""
        >> INFO
        ** Dropped unknown_source
    """)
    assert [line for _, line in ladder.lines][3:8] == [
        "** Answered",
        ">> INVITE",
        "** Dropped unknown_source",
        ">> INFO",
        "<< 200 INFO",
    ]
    ladder.nothing_left()


def test_a_callee_that_says_bye_while_it_rings_leaves_nothing() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.invite()
    invite = ladder.request()
    ladder.receive(phone.reply(invite, 180))
    ladder.receive(phone.from_callee(invite, "BYE"))
    assert ladder.event(Ended).by == "peer"
    ladder.settle()
    ladder.nothing_left()


MALFORMED = (
    "Record-Route: <<>",
    "Record-Route: ",
    "Contact: <<",
    'Contact: "',
    'Allow: INVITE, UPDATE, "',
    'Supported: ", "',
    "Require: ;;",
    "Session-Expires: soon",
    "Min-SE: x",
    "RSeq: 99999999999999999999",
    "Content-Encoding: ???",
    'WWW-Authenticate: Digest realm="',
)


@pytest.mark.parametrize("header", MALFORMED)
def test_an_answer_that_reads_badly_is_an_answer_all_the_same(header: str) -> None:
    """Its session stands on the other side, so it must be acknowledged, and must not hang here."""
    ladder, phone = Ladder(session_expires=1800, reliable_provisionals="supported"), Phone()
    contact = "" if header.startswith("Contact") else "<sip:bob@127.0.0.1:5090>"
    leg = ladder.invite()
    ladder.receive(phone.reply(ladder.request(), 180, b"", header, contact=contact))
    ladder.receive(phone.reply(ladder.request(), 200, ANSWER, header, contact=contact))
    assert ladder.request().method == "ACK"
    assert ladder.event(Answered).leg == leg
    for command in ("offer", "update"):
        ladder.do(command, leg, OFFER)
        ladder.receive(phone.reply(ladder.request(), 200, ANSWER, header, contact=contact))
        assert ladder.event(AnswerReceived).status == 200
    assert len(ladder.events(AnswerReceived)) == 2
    ladder.do("hang_up", leg)
    ladder.receive(phone.reply(ladder.request(), 200, b"", header, contact=contact))
    ladder.settle()
    ladder.nothing_left()
