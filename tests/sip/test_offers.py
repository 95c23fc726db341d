"""Offers within a call: hold and resume both ways, glare, and what may not overlap."""

from __future__ import annotations

import pytest

from tests.sip.ladder import ANSWER, OFFER, Ladder, Phone, calling, established
from voiceagent.errors import SipError
from voiceagent.sip.effects import Address, AnswerReceived, Confirmed, Ended, InviteReceived, OfferReceived


def test_our_hold() -> None:
    ladder, phone, leg = established()
    ladder.do("offer", leg, OFFER)
    invite = ladder.request()
    assert (invite.uri, invite.to.tag, invite.body) == ("sip:alice@127.0.0.1:5090", "phone-tag", OFFER)
    answer = phone.reply(invite, 200, ANSWER)
    ladder.receive(answer)
    ack = ladder.request()
    assert (ack.cseq.number, ack.method) == (invite.cseq.number, "ACK")
    ladder.receive(answer)
    ladder.shows("""
        << INVITE
        >> 200 INVITE
        << ACK
        ** AnswerReceived 200
        >> 200 INVITE
        << ACK
    """)
    assert ladder.event(AnswerReceived).sdp == ANSWER


def test_a_refused_offer_leaves_the_call_as_it_was() -> None:
    ladder, phone, leg = established()
    ladder.do("offer", leg, OFFER)
    ladder.receive(phone.reply(ladder.request(), 488))
    ladder.shows("""
        << INVITE
        >> 488 INVITE
        << ACK
        ** AnswerReceived 488
    """)
    ladder.do("offer", leg, OFFER)
    assert ladder.endpoint.figures().legs == 1


@pytest.mark.parametrize("status", [408, 481])
def test_a_lost_dialog_ends_the_call(status: int) -> None:
    ladder, phone, leg = established()
    ladder.do("offer", leg, OFFER)
    ladder.receive(phone.reply(ladder.request(), status))
    assert (ladder.event(Ended).by, ladder.event(Ended).status) == ("failed", status)
    ladder.settle()
    ladder.nothing_left()


def test_glare_is_refused_with_491_by_both_and_settled_by_the_back_off() -> None:
    ladder, phone, leg = established()
    ladder.do("offer", leg, OFFER)
    ours = ladder.request()
    ladder.receive(phone.request("INVITE", OFFER, branch="z9hG4bKglare"))
    ladder.receive(phone.request("ACK", cseq=phone.cseq, branch="z9hG4bKglare"))
    ladder.receive(phone.reply(ours, 491))
    ladder.shows("""
        << INVITE
        >> INVITE
        << 491 INVITE
        >> ACK
        >> 491 INVITE
        << ACK
    """)
    # We did not choose the Call-ID: 0 to 2 s.
    ladder.advance(2.01)
    assert ladder.request().method == "INVITE"
    assert ladder.request().cseq.number > ours.cseq.number
    ladder.receive(phone.reply(ladder.request(), 200, ANSWER))
    assert ladder.event(AnswerReceived).status == 200


def test_the_owner_of_the_call_id_waits_longer() -> None:
    ladder, phone, leg, _ = calling()
    ladder.do("offer", leg, OFFER)
    ladder.receive(phone.reply(ladder.request(), 491))
    sent = len(ladder.lines)
    ladder.advance(2.09)
    assert len(ladder.lines) == sent
    ladder.advance(1.92)
    assert next(line for _, line in ladder.lines[sent:]) == "<< INVITE"


def test_endless_glare_is_told_as_491() -> None:
    ladder, phone, leg = established(glare_retries=2)
    ladder.do("offer", leg, OFFER)
    for _ in range(3):
        assert ladder.events(AnswerReceived) == []
        ladder.receive(phone.reply(ladder.request(), 491))
        ladder.advance(2.01)
    assert ladder.event(AnswerReceived).status == 491


def test_a_second_offer_of_the_peer_before_our_answer_is_500_with_retry_after() -> None:
    ladder, phone, _ = established()
    ladder.receive(phone.request("INVITE", OFFER))
    ladder.receive(phone.request("INVITE", OFFER))
    response = ladder.response()
    assert response.status == 500
    assert 0 <= int(response.headers.get("Retry-After") or -1) <= 10
    ladder.receive(phone.request("UPDATE", OFFER))
    assert ladder.response().status == 500
    assert len(ladder.events(OfferReceived)) == 1


def test_an_offer_before_the_ack_of_the_last_2xx_is_491() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER))
    ladder.do("accept", ladder.event(InviteReceived).leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("INVITE", OFFER))
    assert ladder.response().status == 491
    ladder.receive(phone.request("ACK", cseq=1))
    assert ladder.events(Confirmed)


def test_ours_may_not_overlap_either() -> None:
    ladder, phone, leg = established()
    ladder.receive(phone.request("INVITE", OFFER))
    with pytest.raises(SipError) as caught:
        ladder.do("offer", leg, OFFER)
    assert caught.value.code == "bad_state"


def test_a_refused_offer_of_the_peer() -> None:
    ladder, phone, leg = established()
    ladder.receive(phone.request("INVITE", OFFER, branch="z9hG4bKr"))
    ladder.do("refuse_offer", leg, 488)
    ladder.receive(phone.request("ACK", cseq=phone.cseq, branch="z9hG4bKr"))
    ladder.shows("""
        >> INVITE
        << 100 INVITE
        ** OfferReceived INVITE
        << 488 INVITE
        >> ACK
    """)
    assert ladder.do("answer_offer", leg, ANSWER) == []


def test_a_reinvite_without_offer_gets_ours_and_answers_in_the_ack() -> None:
    ladder, phone, leg = established()
    ladder.receive(phone.request("INVITE"))
    assert ladder.event(OfferReceived).offer is None
    ladder.do("answer_offer", leg, OFFER)
    ladder.receive(phone.request("ACK", ANSWER, cseq=phone.cseq))
    assert ladder.event(Confirmed).answer == ANSWER


def test_a_cancelled_reinvite_leaves_the_call() -> None:
    ladder, phone, leg = established()
    ladder.receive(phone.request("INVITE", OFFER, branch="z9hG4bKr"))
    ladder.receive(phone.request("CANCEL", branch="z9hG4bKr", cseq=phone.cseq))
    ladder.shows("""
        >> INVITE
        << 100 INVITE
        ** OfferReceived INVITE
        >> CANCEL
        << 200 CANCEL
        << 487 INVITE
    """)
    assert ladder.do("answer_offer", leg, ANSWER) == []
    assert ladder.endpoint.figures().legs == 1


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_bye_closes_an_open_offer(method: str) -> None:
    ladder, phone, _ = established()
    ladder.receive(phone.request(method, OFFER))
    ladder.receive(phone.request("BYE"))
    assert [line for _, line in ladder.lines[-3:]] == ["<< 200 BYE", f"<< 487 {method}", "** Ended peer"]


def test_hang_up_closes_an_open_offer() -> None:
    ladder, phone, leg = established()
    ladder.receive(phone.request("INVITE", OFFER))
    ladder.skip()
    ladder.do("hang_up", leg)
    ladder.shows("""
        << 487 INVITE
        << BYE
        ** Ended us
    """)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_probe_that_fails_closes_an_open_offer(method: str) -> None:
    ladder, phone, leg = established()
    ladder.receive(phone.request(method, OFFER))
    ladder.do("probe", leg)
    ladder.receive(phone.reply(ladder.request(), 481))
    assert [line for _, line in ladder.lines[-2:]] == [f"<< 487 {method}", "** Ended failed 481"]
    ladder.settle()
    ladder.nothing_left()


def test_no_ack_for_a_reinvite_ends_the_call() -> None:
    ladder, phone, leg = established()
    ladder.receive(phone.request("INVITE", OFFER))
    ladder.do("answer_offer", leg, ANSWER)
    ladder.advance(32)
    assert ladder.event(Ended).by == "no_ack"
    ladder.receive(phone.reply(ladder.request(), 200))
    ladder.settle()
    ladder.nothing_left()


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_the_contact_of_a_refresh_is_where_we_go_from_then_on(method: str) -> None:
    ladder, phone, leg = established()
    contact = "Contact: <sip:alice@127.0.0.1:6000>"
    ladder.receive(phone.request(method, OFFER, contact, contact=False))
    ladder.do("answer_offer", leg, ANSWER)
    ladder.receive(phone.request("ACK", cseq=phone.cseq))
    ladder.do("hang_up", leg)
    assert ladder.request().uri == "sip:alice@127.0.0.1:6000"
    assert ladder.last_send().destination == Address("127.0.0.1", 6000)


def test_an_update_with_an_offer_before_our_answer_is_500() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER))
    ladder.do("ring", ladder.event(InviteReceived).leg)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("UPDATE", OFFER))
    assert ladder.response().status == 500


def test_the_answer_to_a_reinvite_that_crosses_our_bye_is_still_acknowledged() -> None:
    ladder, phone, leg = established()
    ladder.do("offer", leg, OFFER)
    invite = ladder.request()
    ladder.do("hang_up", leg)
    ladder.receive(phone.reply(invite, 200, ANSWER))
    assert ladder.request().method == "ACK"
    assert ladder.events(AnswerReceived) == []


def test_a_peer_that_demands_timers_is_told_that_we_have_none() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER, "Require: timer", "Session-Expires: 1800"))
    assert (ladder.response().status, ladder.response().headers.get("Unsupported")) == (420, "timer")
