"""Inbound calls: set-up, endings, and every way in which they cross."""

from __future__ import annotations

import pytest

from tests.sip.ladder import ANSWER, OFFER, PHONE, Ladder, Phone, established
from voiceagent.errors import SipError
from voiceagent.sip.effects import Confirmed, Ended, InviteReceived


def offered(**config: object) -> tuple[Ladder, Phone, str]:
    ladder, phone = Ladder(**config), Phone()
    ladder.receive(phone.request("INVITE", OFFER))
    ladder.skip()
    return ladder, phone, ladder.event(InviteReceived).leg


def test_a_whole_call() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER))
    leg = ladder.event(InviteReceived).leg
    ladder.do("ring", leg)
    ladder.do("ring", leg, status=183, sdp=ANSWER)
    ladder.do("accept", leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("ACK", cseq=1))
    ladder.receive(phone.request("BYE", b"", 'Reason: SIP;cause=200;text="bye"'))
    ladder.shows("""
        >> INVITE
        << 100 INVITE
        ** InviteReceived
        << 180 INVITE
        << 183 INVITE
        << 200 INVITE
        >> ACK
        ** Confirmed
        >> BYE
        << 200 BYE
        ** Ended peer
    """)
    assert ladder.event(Ended).reason == 'SIP;cause=200;text="bye"'
    ladder.settle()
    ladder.nothing_left()


def test_what_the_invite_claims_is_told() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER, "X-Account: 7", "Diversion: <sip:1@a>"))
    event = ladder.event(InviteReceived)
    assert (event.called_user, event.caller_user, event.caller_name) == ("100", "alice", "Alice")
    assert (event.call_id, event.source, event.offer) == ("call-1", PHONE, OFFER)
    assert ("x-account", "7") in [(name.lower(), value) for name, value in event.headers]


def test_responses_share_one_to_tag_and_the_100_has_none() -> None:
    ladder, _, leg = offered()
    assert ladder.response().to.tag is None
    ladder.do("ring", leg)
    ringing = ladder.response()
    ladder.do("accept", leg, ANSWER)
    answer = ladder.response()
    assert ringing.to.tag == answer.to.tag is not None
    assert answer.contact is not None
    assert answer.contact.uri_text == "sip:100@127.0.0.1:5060"


def test_hang_up_before_the_answer_is_a_decline() -> None:
    ladder, _, leg = offered()
    ladder.do("hang_up", leg)
    ladder.shows("""
        << 603 INVITE
        ** Ended us 603
    """)


def test_hang_up_before_the_ack_waits_with_the_bye() -> None:
    ladder, phone, leg = offered()
    ladder.do("accept", leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.do("hang_up", leg, reason="done")
    ladder.advance(0.6)
    ladder.receive(phone.request("ACK", cseq=1))
    ladder.shows("""
        << 200 INVITE
        ** Ended us
        << 200 INVITE
        >> ACK
        << BYE
    """)
    assert ladder.request().headers.get("Reason") == 'SIP;cause=200;text="done"'
    ladder.receive(phone.reply(ladder.request(), 200))
    ladder.settle()
    ladder.nothing_left()


def test_hang_up_in_a_call_sends_bye_and_forgets_the_dialog_with_its_answer() -> None:
    ladder, phone, leg = established()
    ladder.do("hang_up", leg)
    bye = ladder.request()
    assert bye.uri == "sip:alice@127.0.0.1:5090"
    assert (bye.from_.tag, bye.to.tag) == (phone.to_tag, phone.tag)
    ladder.receive(phone.reply(bye, 200))
    assert ladder.endpoint.figures().dialogs == 0
    ladder.receive(phone.request("INFO"))
    ladder.shows("""
        << BYE
        ** Ended us
        >> 200 BYE
        >> INFO
        << 481 INFO
    """)
    ladder.settle()
    ladder.nothing_left()


def test_byes_that_cross_are_both_answered() -> None:
    ladder, phone, leg = established()
    ladder.do("hang_up", leg)
    ours = ladder.request()
    ladder.receive(phone.request("BYE"))
    ladder.receive(phone.reply(ours, 481))
    ladder.shows("""
        << BYE
        ** Ended us
        >> BYE
        << 200 BYE
        >> 481 BYE
    """)
    ladder.settle()
    ladder.nothing_left()


def test_cancel_gets_its_200_and_the_invite_its_487() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER, branch="z9hG4bKx"))
    ladder.do("ring", ladder.event(InviteReceived).leg)
    ladder.receive(phone.request("CANCEL", b"", "Reason: SIP;cause=600", cseq=1, branch="z9hG4bKx"))
    ladder.receive(phone.request("ACK", cseq=1, branch="z9hG4bKx"))
    ladder.shows("""
        >> INVITE
        << 100 INVITE
        ** InviteReceived
        << 180 INVITE
        >> CANCEL
        << 200 CANCEL
        << 487 INVITE
        ** Ended cancelled 487
        >> ACK
    """)
    assert ladder.event(Ended).reason == "SIP;cause=600"
    assert len({ladder.sent(n).to.tag for n in (1, 2, 3)}) == 1
    ladder.settle()
    ladder.nothing_left()


def test_cancel_that_crosses_the_200_changes_nothing() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER, branch="z9hG4bKx"))
    leg = ladder.event(InviteReceived).leg
    ladder.do("accept", leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("CANCEL", cseq=1, branch="z9hG4bKx", to_tag=""))
    ladder.receive(phone.request("ACK", cseq=1))
    ladder.shows("""
        >> INVITE
        << 100 INVITE
        ** InviteReceived
        << 200 INVITE
        >> CANCEL
        << 200 CANCEL
        >> ACK
        ** Confirmed
    """)


def test_cancel_for_nothing_is_481() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("CANCEL"))
    assert ladder.response().status == 481


def test_commands_after_a_cancel_mean_nothing_or_say_so() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER, branch="z9hG4bKx"))
    leg = ladder.event(InviteReceived).leg
    ladder.receive(phone.request("CANCEL", cseq=1, branch="z9hG4bKx"))
    for command, args in (("ring", ()), ("reject", (486, "")), ("hang_up", ()), ("cancel", ())):
        assert ladder.do(command, leg, *args) == []
    assert ladder.do("answer_offer", leg, ANSWER) == ladder.do("refuse_offer", leg, 488) == []
    for command, args in (("accept", (ANSWER,)), ("offer", (OFFER,)), ("refer", ("sip:x@y",)), ("probe", ())):
        with pytest.raises(SipError) as caught:
            ladder.do(command, leg, *args)
        assert caught.value.code == "no_such_leg"


def test_accept_twice_is_refused_and_sends_nothing() -> None:
    ladder, _, leg = offered()
    ladder.do("accept", leg, ANSWER)
    with pytest.raises(SipError) as caught:
        ladder.do("accept", leg, ANSWER)
    assert caught.value.code == "bad_state"
    assert ladder.do("ring", leg) == ladder.do("reject", leg, 486, "") == []


def test_a_rejection_carries_its_headers() -> None:
    ladder, _, leg = offered()
    ladder.do("reject", leg, 503, "Full\r\nX-Evil: 1", headers=[("Retry-After", "7\r\nX-Evil: 2")])
    response = ladder.response()
    assert response.headers.get("Retry-After") == "7 X-Evil: 2"
    assert "X-Evil" not in response.headers
    assert response.reason == "Full X-Evil: 1"


def test_a_late_offer_call_brings_its_answer_in_the_ack() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE"))
    assert ladder.event(InviteReceived).offer is None
    ladder.do("accept", ladder.event(InviteReceived).leg, OFFER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("ACK", ANSWER, cseq=1))
    assert ladder.event(Confirmed).answer == ANSWER


def test_an_ack_on_the_invites_own_branch_is_taken_too() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER, branch="z9hG4bKx"))
    ladder.do("accept", ladder.event(InviteReceived).leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("ACK", cseq=1, branch="z9hG4bKx"))
    assert ladder.events(Confirmed)
    ladder.skip()
    ladder.settle()
    ladder.shows("")


def test_a_second_ack_is_absorbed() -> None:
    ladder, phone, _ = established()
    ladder.receive(phone.request("ACK", cseq=1))
    ladder.shows(">> ACK")


def test_bye_before_the_ack_ends_the_call_and_the_repetitions() -> None:
    ladder, phone, leg = offered()
    ladder.do("accept", leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("BYE"))
    ladder.settle()
    ladder.shows("""
        << 200 INVITE
        >> BYE
        << 200 BYE
        ** Ended peer
    """)
    ladder.nothing_left()


def test_bye_in_an_early_dialog_ends_the_invite_with_487() -> None:
    ladder, phone, leg = offered()
    ladder.do("ring", leg)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("BYE"))
    ladder.shows("""
        << 180 INVITE
        >> BYE
        << 200 BYE
        << 487 INVITE
        ** Ended peer
    """)


@pytest.mark.parametrize("method", ["BYE", "INFO", "UPDATE", "NOTIFY", "OPTIONS", "INVITE"])
def test_requests_of_an_unknown_dialog_are_481(method: str) -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request(method, to_tag="nobody"))
    assert ladder.response().status == 481


@pytest.mark.parametrize("method", ["BYE", "INFO", "UPDATE", "NOTIFY"])
def test_in_dialog_methods_without_a_dialog_are_481(method: str) -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request(method))
    assert ladder.response().status == 481


@pytest.mark.parametrize("method", ["MESSAGE", "SUBSCRIBE", "PUBLISH", "REGISTER", "REFER", "PRACK"])
def test_methods_we_do_not_take_are_405_with_allow(method: str) -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request(method))
    response = ladder.response()
    assert response.status == 405
    assert response.headers.get("Allow") == "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, NOTIFY"


def test_a_method_nobody_knows_is_501() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("DANCE"))
    assert ladder.response().status == 501


def test_refer_outside_of_a_dialog_is_refused_even_where_allowed() -> None:
    ladder, phone = Ladder(allow_refer=True), Phone()
    ladder.receive(phone.request("REFER", b"", "Refer-To: <sip:2@x>"))
    assert ladder.response().status == 403


@pytest.mark.parametrize("inside", [False, True])
def test_options_tells_what_we_can(inside: bool) -> None:
    ladder, phone = established()[:2] if inside else (Ladder(supported=("timer",)), Phone())
    ladder.receive(phone.request("OPTIONS"))
    response = ladder.response()
    assert response.status == 200
    assert response.headers.get("Accept") == "application/sdp"
    assert "INVITE" in (response.headers.get("Allow") or "")
    assert response.headers.get("Supported") == ("" if inside else "timer")


@pytest.mark.parametrize("inside", [False, True])
def test_options_says_503_while_no_call_would_be_taken(inside: bool) -> None:
    """A proxy that asks passes us over; within a dialog it is a question about that dialog."""
    again_in_s: list[int | None] = [None]
    if inside:
        ladder, phone = established(unavailable=lambda: again_in_s[0])[:2]
    else:
        ladder, phone = Ladder(unavailable=lambda: again_in_s[0]), Phone()
    again_in_s[0] = 7
    ladder.receive(phone.request("OPTIONS"))
    response = ladder.response()
    assert response.status == (200 if inside else 503)
    assert response.headers.get("Retry-After") == (None if inside else "7")
    again_in_s[0] = None
    ladder.receive(phone.request("OPTIONS", cseq=30))
    assert ladder.response().status == 200


def test_a_full_endpoint_says_503_to_options_with_a_time_to_try_again() -> None:
    ladder, phone = Ladder(max_legs=0), Phone()
    ladder.receive(phone.request("OPTIONS"))
    assert ladder.response().status == 503
    assert 5 <= int(ladder.response().headers.get("Retry-After") or "") <= 15


def test_an_old_cseq_in_the_dialog_is_500() -> None:
    ladder, phone, _ = established()
    ladder.receive(phone.request("INFO", cseq=9))
    ladder.receive(phone.request("INFO", cseq=4))
    assert ladder.response().status == 500
    ladder.receive(phone.request("INFO", cseq=10))
    assert ladder.response().status == 200


@pytest.mark.parametrize(
    ("content_type", "status"),
    [("application/dtmf-relay", 200), ("application/dtmf", 200), ("text/plain", 415)],
)
def test_info_takes_digits_only(content_type: str, status: int) -> None:
    ladder, phone, _ = established()
    ladder.receive(phone.request("INFO", b"5", content_type=content_type))
    assert ladder.response().status == status
    if status == 415:
        assert ladder.response().headers.get("Accept") == "application/dtmf-relay, application/dtmf"


def test_send_info_goes_out_in_order() -> None:
    ladder, phone, leg = established()
    ladder.do("send_info", leg, "application/dtmf", b"5")
    first = ladder.request()
    ladder.do("send_info", leg, "application/dtmf", b"6")
    second = ladder.request()
    assert (first.cseq.number + 1, first.body, second.body) == (second.cseq.number, b"5", b"6")
    ladder.receive(phone.reply(first, 415))
    assert ladder.endpoint.figures().counts["info_refused"] == 1


def test_a_probe_ends_a_call_that_the_peer_has_forgotten() -> None:
    ladder, phone, leg = established()
    ladder.do("probe", leg)
    ladder.receive(phone.reply(ladder.request(), 200))
    ladder.do("probe", leg)
    ladder.receive(phone.reply(ladder.request(), 481))
    ladder.shows("""
        << OPTIONS
        >> 200 OPTIONS
        ** ProbeAnswered 200
        << OPTIONS
        >> 481 OPTIONS
        ** Ended failed 481
    """)
    ladder.settle()
    ladder.nothing_left()


def test_a_probe_without_any_answer_ends_the_call_with_bye() -> None:
    ladder, phone, leg = established()
    ladder.do("probe", leg)
    ladder.advance(31.9)
    ladder.skip()
    ladder.advance(0.1)
    ladder.shows("""
        << BYE
        ** Ended failed 408
    """)
    ladder.receive(phone.reply(ladder.request(), 481))
    ladder.settle()
    ladder.nothing_left()


def test_a_called_user_stands_escaped_in_our_contact() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER, uri="sip:a%3E%0D%0AX-Evil%3A%20b%23%40@127.0.0.1"))
    ladder.do("ring", ladder.event(InviteReceived).leg)
    contact = ladder.response().headers.get("Contact")
    assert contact == "<sip:a%3E%0D%0AX-Evil%3A%20b%23%40@127.0.0.1:5060>"
    assert ladder.event(InviteReceived).called_user == "a>\r\nX-Evil: b#@"
