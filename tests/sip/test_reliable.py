"""Reliable provisional responses (RFC 3262), both roles: PRACK, repetition, offers in them; early UPDATE."""

from __future__ import annotations

import pytest

from tests.sip.ladder import ANSWER, OFFER, Ladder, Phone
from voiceagent.errors import SipError
from voiceagent.sip.effects import (
    Answered,
    AnswerReceived,
    Confirmed,
    Ended,
    InviteProgress,
    InviteReceived,
    OfferReceived,
)
from voiceagent.sip.syntax.message import Response

ABLE = "Supported: 100rel"
NEEDS = "Require: 100rel"
LATER = ANSWER.replace(b"6000", b"6002")


def offered(*headers: str, offer: bytes = OFFER, **config: object) -> tuple[Ladder, Phone, str]:
    """An inbound call that was offered and not answered yet."""
    ladder, phone = Ladder(**{"reliable_provisionals": "supported", **config}), Phone()
    ladder.receive(phone.request("INVITE", offer, *headers, branch="z9hG4bKinvite"))
    ladder.skip()
    return ladder, phone, ladder.event(InviteReceived).leg


def rseq(response: Response) -> int:
    assert response.require == ["100rel"]
    number = int(response.headers.get("RSeq") or "")
    assert 1 <= number < 2**31
    return number


def rung(ladder: Ladder, phone: Phone, leg: str, status: int = 180, sdp: bytes | None = None) -> int:
    """Ring; the RSeq of what went out."""
    ladder.do("ring", leg, status=status, sdp=sdp)
    phone.to_tag = ladder.response().to.tag or ""
    return rseq(ladder.response())


def prack(phone: Phone, number: int, body: bytes = b"", cseq: int = 1, method: str = "INVITE") -> bytes:
    return phone.request("PRACK", body, f"RAck: {number} {cseq} {method}")


# We are called.


def test_a_caller_that_requires_it_gets_every_response_reliably() -> None:
    ladder, phone, leg = offered(NEEDS)
    number = rung(ladder, phone, leg)
    ladder.receive(prack(phone, number))
    ladder.do("accept", leg, ANSWER)
    ladder.receive(phone.request("ACK", cseq=1))
    ladder.shows("""
        << 180 INVITE
        >> PRACK
        << 200 PRACK
        << 200 INVITE
        >> ACK
        ** Confirmed
    """)
    assert "PRACK" in (ladder.sent(1).headers.get("Allow") or "")


def test_a_caller_that_only_supports_it_gets_early_media_reliably() -> None:
    ladder, phone, leg = offered(ABLE)
    ladder.do("ring", leg)
    assert ladder.response().headers.get("RSeq") is None
    ladder.receive(prack(phone, rung(ladder, phone, leg, 183, ANSWER)))
    assert ladder.response().status == 200


def test_a_caller_without_it_never_sees_it() -> None:
    ladder, _, leg = offered()
    ladder.do("ring", leg, status=183, sdp=ANSWER)
    assert ladder.response().headers.get("RSeq") is None
    assert ladder.response().body == ANSWER


def test_off_refuses_who_requires_it_and_knows_no_prack() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER, NEEDS))
    assert (ladder.response().status, ladder.response().headers.get("Unsupported")) == (420, "100rel")
    ladder.receive(prack(phone, 1))
    assert ladder.response().status == 405


def test_required_refuses_who_cannot_and_says_it_in_our_calls() -> None:
    ladder, phone = Ladder(reliable_provisionals="required"), Phone()
    ladder.receive(phone.request("INVITE", OFFER))
    assert (ladder.response().status, ladder.response().require) == (421, ["100rel"])
    ladder.receive(phone.request("INVITE", OFFER, ABLE))
    rung(ladder, phone, ladder.event(InviteReceived).leg)
    ladder.invite()
    assert ladder.request().require == ["100rel"]


def test_an_unknown_requirement_beside_it_is_still_420() -> None:
    ladder, phone = Ladder(reliable_provisionals="supported"), Phone()
    ladder.receive(phone.request("INVITE", OFFER, "Require: 100rel, nosuchext"))
    assert (ladder.response().status, ladder.response().headers.get("Unsupported")) == (420, "nosuchext")


def test_repeated_after_t1_doubling_until_64_t1_and_then_504() -> None:
    ladder, phone, leg = offered(NEEDS)
    rung(ladder, phone, leg)
    ladder.advance(32)
    ladder.shows(
        """
        0.00 << 180 INVITE
        0.50 << 180 INVITE
        1.50 << 180 INVITE
        3.50 << 180 INVITE
        7.50 << 180 INVITE
        15.50 << 180 INVITE
        31.50 << 180 INVITE
        32.00 << 504 INVITE
        32.00 ** Ended no_ack 504
        """,
        times=True,
    )
    ladder.receive(phone.request("ACK", cseq=1, branch="z9hG4bKinvite"))
    ladder.settle()
    ladder.nothing_left()


def test_prack_stops_the_repetition() -> None:
    ladder, phone, leg = offered(NEEDS)
    number = rung(ladder, phone, leg)
    ladder.advance(0.6)
    ladder.receive(prack(phone, number))
    ladder.skip()
    ladder.advance(40)
    ladder.shows("")


@pytest.mark.parametrize("rack", ["{n1} 1 INVITE", "{n} 2 INVITE", "{n} 1 UPDATE", "0 1 INVITE"])
def test_a_prack_that_matches_nothing_is_481(rack: str) -> None:
    ladder, phone, leg = offered(NEEDS)
    number = rung(ladder, phone, leg)
    ladder.receive(phone.request("PRACK", b"", "RAck: " + rack.format(n=number, n1=number + 1)))
    assert ladder.response().status == 481
    ladder.skip()
    ladder.advance(0.9)
    ladder.shows("<< 180 INVITE")


def test_a_prack_twice_is_481_and_its_repetition_the_same_200() -> None:
    ladder, phone, leg = offered(NEEDS)
    data = prack(phone, rung(ladder, phone, leg))
    ladder.receive(data)
    ladder.receive(data)
    assert [line for _, line in ladder.lines[-2:]] == [">> PRACK", "<< 200 PRACK"]
    ladder.receive(prack(phone, 1))
    assert ladder.response().status == 481


@pytest.mark.parametrize("rack", ["", "RAck: x", "RAck: 1 INVITE", "RAck: 99999999999 1 INVITE"])
def test_a_prack_that_cannot_be_read_is_400(rack: str) -> None:
    ladder, phone, leg = offered(NEEDS)
    rung(ladder, phone, leg)
    ladder.receive(phone.request("PRACK", b"", *([rack] if rack else [])))
    assert ladder.response().status == 400


def test_a_prack_outside_of_the_call_is_481() -> None:
    ladder, _, _ = offered(NEEDS)
    ladder.receive(prack(Phone(call_id="other"), 1))
    assert ladder.response().status == 481


def test_the_next_waits_for_the_prack_of_the_last() -> None:
    ladder, phone, leg = offered(NEEDS)
    first = rung(ladder, phone, leg)
    ladder.do("ring", leg, status=183, sdp=ANSWER)
    ladder.do("ring", leg, status=182)
    ladder.receive(prack(phone, first))
    assert rseq(ladder.response()) == first + 1
    ladder.receive(prack(phone, first + 1))
    ladder.receive(prack(phone, first + 2))
    ladder.shows("""
        << 180 INVITE
        >> PRACK
        << 200 PRACK
        << 183 INVITE
        >> PRACK
        << 200 PRACK
        << 182 INVITE
        >> PRACK
        << 200 PRACK
    """)


def test_the_200_waits_for_the_prack_of_early_media_and_repeats_no_sdp() -> None:
    ladder, phone, leg = offered(ABLE)
    number = rung(ladder, phone, leg, 183, ANSWER)
    ladder.do("accept", leg, ANSWER)
    with pytest.raises(SipError, match="cannot be accepted"):
        ladder.do("accept", leg, ANSWER)
    ladder.do("ring", leg, status=182)
    ladder.receive(prack(phone, number))
    ladder.shows("""
        << 183 INVITE
        >> PRACK
        << 200 PRACK
        << 200 INVITE
    """)
    assert ladder.response().body == b""
    ladder.receive(phone.request("ACK", cseq=1))
    assert ladder.event(Confirmed).answer is None


def test_the_200_does_not_wait_for_plain_ringing() -> None:
    ladder, phone, leg = offered(NEEDS)
    number = rung(ladder, phone, leg)
    ladder.do("accept", leg, ANSWER)
    assert ladder.response().body == ANSWER
    ladder.receive(phone.request("ACK", cseq=1))
    ladder.skip()
    ladder.advance(5)
    ladder.shows("")
    ladder.receive(prack(phone, number))
    ladder.shows("""
        >> PRACK
        << 200 PRACK
    """)


@pytest.mark.parametrize("how", ["reject", "hang_up", "CANCEL", "BYE"])
@pytest.mark.parametrize("accepting", [False, True])
def test_an_end_before_the_prack_leaves_nothing(how: str, accepting: bool) -> None:
    ladder, phone, leg = offered(ABLE)
    rung(ladder, phone, leg, 183, ANSWER)
    if accepting:
        ladder.do("accept", leg, ANSWER)
    if how == "reject":
        ladder.do("reject", leg, 486, "")
    elif how == "hang_up":
        ladder.do("hang_up", leg)
    elif how == "CANCEL":
        ladder.receive(phone.request("CANCEL", cseq=1, branch="z9hG4bKinvite", to_tag=""))
    else:
        ladder.receive(phone.request("BYE"))
    assert len(ladder.events(Ended)) == 1
    assert "<< 200 INVITE" not in [line for _, line in ladder.lines]
    ladder.settle()
    ladder.nothing_left()


def test_ringing_is_kept_up_by_new_reliable_responses() -> None:
    ladder, phone, leg = offered(NEEDS)
    first = rung(ladder, phone, leg)
    ladder.receive(prack(phone, first))
    ladder.skip()
    ladder.advance(60)
    ladder.shows("<< 180 INVITE")
    assert rseq(ladder.response()) == first + 1


def test_an_invite_without_offer_gets_ours_in_early_media_and_answers_in_prack() -> None:
    ladder, phone, leg = offered(NEEDS, offer=b"")
    ladder.do("ring", leg)
    ladder.shows("")  # the first reliable response must bring our offer, and this one has none
    number = rung(ladder, phone, leg, 183, OFFER)
    ladder.receive(prack(phone, number))
    assert ladder.response().status == 400
    ladder.receive(phone.request("UPDATE", OFFER))
    assert ladder.response().status == 491
    ladder.receive(prack(phone, number, ANSWER))
    assert ladder.event(AnswerReceived).sdp == ANSWER
    ladder.do("accept", leg, OFFER)
    assert ladder.response().body == b""
    ladder.receive(phone.request("ACK", cseq=1))
    assert ladder.event(Confirmed).answer is None


@pytest.mark.parametrize("accepted", [True, False])
def test_an_offer_in_prack_is_answered_in_its_200(accepted: bool) -> None:
    ladder, phone, leg = offered(ABLE)
    number = rung(ladder, phone, leg, 183, ANSWER)
    ladder.receive(prack(phone, number, LATER))
    assert ladder.event(OfferReceived).method == "PRACK"
    ladder.do("accept", leg, ANSWER)
    ladder.do(*(("answer_offer", leg, OFFER) if accepted else ("refuse_offer", leg, 488)))
    ladder.shows(f"""
        << 183 INVITE
        >> PRACK
        ** OfferReceived PRACK
        << {200 if accepted else 488} PRACK
        << 200 INVITE
    """)


def test_an_offer_in_the_prack_of_plain_ringing_is_refused() -> None:
    ladder, phone, leg = offered(NEEDS)
    ladder.receive(prack(phone, rung(ladder, phone, leg), LATER))
    assert ladder.response().status == 491
    ladder.skip()
    ladder.advance(5)
    ladder.shows("")


# We call.


def ringing(**config: object) -> tuple[Ladder, Phone, str, Response]:
    ladder = Ladder(**{"reliable_provisionals": "supported", **config})
    leg = ladder.invite()
    return ladder, Phone(), leg, ladder.request()  # type: ignore[return-value]


def reliably(phone: Phone, invite: object, number: int, body: bytes = b"", **parts: object) -> bytes:
    status = int(parts.pop("status", 183))  # type: ignore[call-overload]
    return phone.reply(invite, status, body, NEEDS, f"RSeq: {number}", **parts)  # type: ignore[arg-type]


def test_each_reliable_response_gets_its_prack_in_order() -> None:
    ladder, phone, _, invite = ringing()
    assert "100rel" in invite.supported
    ladder.receive(reliably(phone, invite, 7, status=180))
    prack_request = ladder.request()
    assert (prack_request.method, prack_request.headers.get("RAck")) == ("PRACK", "7 1 INVITE")
    assert (prack_request.to.tag, prack_request.cseq.number) == ("callee", 2)
    ladder.receive(phone.reply(prack_request, 200))
    ladder.receive(reliably(phone, invite, 8, ANSWER))
    ladder.receive(phone.reply(ladder.request(), 200))
    ladder.receive(phone.reply(invite, 200, LATER))
    ladder.shows("""
        << INVITE
        >> 180 INVITE
        << PRACK
        ** InviteProgress 180
        >> 200 PRACK
        >> 183 INVITE
        << PRACK
        ** InviteProgress 183
        >> 200 PRACK
        >> 200 INVITE
        << ACK
        ** Answered
    """)
    assert ladder.event(InviteProgress).answer == ANSWER
    assert ladder.event(Answered).sdp is None, "the answer was given: what comes after it is not heard"


def test_a_repetition_is_not_acknowledged_anew_and_a_gap_waits() -> None:
    ladder, phone, _, invite = ringing()
    ladder.receive(reliably(phone, invite, 7))
    ladder.receive(reliably(phone, invite, 7))
    ladder.receive(reliably(phone, invite, 9, ANSWER))
    ladder.receive(reliably(phone, invite, 8, status=180))
    ladder.receive(reliably(phone, invite, 9, ANSWER))
    ladder.shows("""
        << INVITE
        >> 183 INVITE
        << PRACK
        ** InviteProgress 183
        >> 183 INVITE
        >> 183 INVITE
        >> 180 INVITE
        << PRACK
        ** InviteProgress 180
        >> 183 INVITE
        << PRACK
        ** InviteProgress 183
    """)


def test_every_fork_counts_by_itself() -> None:
    ladder, phone, _, invite = ringing()
    ladder.receive(reliably(phone, invite, 7, tag="one"))
    one = ladder.request()
    ladder.receive(reliably(phone, invite, 100, ANSWER, tag="two"))
    two = ladder.request()
    ladder.receive(reliably(phone, invite, 8, tag="one"))
    assert [str(m.headers.get("RAck")) for m in (one, two, ladder.request())] == [
        "7 1 INVITE",
        "100 1 INVITE",
        "8 1 INVITE",
    ]
    assert (one.to.tag, two.to.tag, ladder.request().to.tag) == ("one", "two", "one")
    assert ladder.request().cseq.number == one.cseq.number + 1
    ladder.receive(phone.reply(invite, 200, LATER, tag="one"))
    assert ladder.event(Answered).sdp == LATER, "the other fork had answered, not this one"


@pytest.mark.parametrize("header", ["RSeq: x", "RSeq: 0", "RSeq: 4294967296", ""])
def test_a_response_without_a_usable_rseq_is_an_ordinary_one(header: str) -> None:
    ladder, phone, _, invite = ringing()
    ladder.receive(phone.reply(invite, 180, b"", NEEDS, *([header] if header else [])))
    ladder.shows("""
        << INVITE
        >> 180 INVITE
        ** InviteProgress 180
    """)


def test_without_100rel_no_prack_is_sent() -> None:
    ladder, phone, _, invite = ringing(reliable_provisionals="off")
    ladder.receive(reliably(phone, invite, 7))
    assert "<< PRACK" not in [line for _, line in ladder.lines]


@pytest.mark.parametrize("status", [None, 481])
def test_a_prack_without_success_does_no_harm(status: int | None) -> None:
    ladder, phone, leg, invite = ringing()
    ladder.receive(reliably(phone, invite, 7))
    if status is not None:
        ladder.receive(phone.reply(ladder.request(), status))
    ladder.advance(33)
    ladder.receive(phone.reply(invite, 200, ANSWER))
    ladder.do("hang_up", leg)
    ladder.receive(phone.reply(ladder.request(), 200))
    ladder.settle()
    ladder.nothing_left()


def test_cancel_after_prack() -> None:
    ladder, phone, leg, invite = ringing()
    ladder.receive(reliably(phone, invite, 7))
    ladder.do("cancel", leg)
    ladder.receive(reliably(phone, invite, 8))
    ladder.shows("""
        << INVITE
        >> 183 INVITE
        << PRACK
        ** InviteProgress 183
        << CANCEL
        ** Ended us 487
        >> 183 INVITE
    """)
    ladder.receive(phone.reply(invite, 487))
    ladder.settle()
    ladder.nothing_left()


# UPDATE before the answer (RFC 3311).


def test_an_early_update_of_the_callee_waits_for_a_reliable_answer() -> None:
    ladder, phone, leg, invite = ringing()
    ladder.receive(reliably(phone, invite, 7, status=180))
    callee = Phone(call_id="callee")
    ladder.receive(callee.from_callee(invite, "UPDATE", OFFER))
    assert ladder.response().status == 491
    ladder.receive(reliably(phone, invite, 8, ANSWER))
    ladder.receive(callee.from_callee(invite, "UPDATE", OFFER))
    assert ladder.event(OfferReceived).method == "UPDATE"
    ladder.receive(callee.from_callee(invite, "UPDATE", OFFER))
    assert (ladder.response().status, ladder.response().headers.get("Retry-After") is not None) == (500, True)
    ladder.do("answer_offer", leg, ANSWER)
    assert (ladder.response().status, ladder.response().body) == (200, ANSWER)


def test_an_early_update_of_the_caller_waits_for_a_reliable_answer() -> None:
    ladder, phone, leg = offered(ABLE)
    number = rung(ladder, phone, leg, 183, ANSWER)
    ladder.receive(phone.request("UPDATE", OFFER))
    assert ladder.response().status == 500
    ladder.receive(prack(phone, number))
    ladder.receive(phone.request("UPDATE", OFFER))
    ladder.do("accept", leg, ANSWER)
    ladder.do("answer_offer", leg, LATER)
    ladder.shows("""
        << 183 INVITE
        >> UPDATE
        << 500 UPDATE
        >> PRACK
        << 200 PRACK
        >> UPDATE
        ** OfferReceived UPDATE
        << 200 UPDATE
        << 200 INVITE
    """)


def test_our_early_update_when_we_call() -> None:
    ladder, phone, leg, invite = ringing()
    with pytest.raises(SipError, match="not before"):
        ladder.do("update", leg, None)
    ladder.receive(reliably(phone, invite, 7, status=180))
    with pytest.raises(SipError, match="not before"):
        ladder.do("update", leg, OFFER)
    ladder.receive(reliably(phone, invite, 8, ANSWER))
    ladder.do("update", leg, LATER)
    update = ladder.request()
    assert (update.method, update.body, update.to.tag) == ("UPDATE", LATER, "callee")
    ladder.receive(Phone(call_id="callee").from_callee(invite, "UPDATE", OFFER))
    assert ladder.response().status == 491
    ladder.receive(phone.reply(update, 200, ANSWER))
    assert ladder.event(AnswerReceived).sdp == ANSWER


def test_an_early_update_in_a_fork_that_loses_is_told_as_over() -> None:
    ladder, phone, leg, invite = ringing()
    ladder.receive(reliably(phone, invite, 8, ANSWER, tag="one"))
    ladder.do("update", leg, LATER)
    update = ladder.request()
    ladder.receive(phone.reply(invite, 200, ANSWER, tag="two"))
    assert ladder.event(AnswerReceived).status == 487
    ladder.receive(phone.reply(update, 491))
    ladder.do("offer", leg, LATER)
    assert ladder.request().to.tag == "two"


def test_an_early_update_of_ours_that_meets_glare_goes_on_after_the_answer() -> None:
    ladder, phone, leg, invite = ringing()
    ladder.receive(reliably(phone, invite, 8, ANSWER))
    ladder.receive(phone.reply(ladder.request(), 200))
    ladder.do("update", leg, LATER)
    update = ladder.request()
    ladder.receive(phone.reply(update, 491))
    ladder.receive(phone.reply(invite, 200, b""))
    ladder.skip()
    while ladder.request().method != "UPDATE" or ladder.request() == update:
        ladder.advance(0.5)
    ladder.shows("<< UPDATE")
    assert ladder.request().cseq.number > update.cseq.number
    ladder.receive(phone.reply(ladder.request(), 200, ANSWER))
    assert ladder.event(AnswerReceived).status == 200


def test_our_early_update_when_we_are_called() -> None:
    ladder, phone, leg = offered(ABLE, "Allow: INVITE, UPDATE, PRACK")
    with pytest.raises(SipError, match="not before"):
        ladder.do("update", leg, None)
    number = rung(ladder, phone, leg, 183, ANSWER)
    with pytest.raises(SipError, match="not before"):
        ladder.do("update", leg, OFFER)
    ladder.receive(prack(phone, number))
    ladder.do("update", leg, LATER)
    update = ladder.request()
    ladder.do("accept", leg, ANSWER)
    ladder.receive(phone.reply(update, 200, OFFER))
    ladder.shows("""
        << 183 INVITE
        >> PRACK
        << 200 PRACK
        << UPDATE
        >> 200 UPDATE
        ** AnswerReceived 200
        << 200 INVITE
    """)


@pytest.mark.parametrize("sdp", [None, LATER])
def test_update_within_the_call(sdp: bytes | None) -> None:
    from tests.sip.ladder import established

    ladder, phone, leg = established()
    ladder.do("update", leg, sdp)
    with pytest.raises(SipError, match="another offer"):
        ladder.do("offer", leg, OFFER)
    ladder.receive(phone.reply(ladder.request(), 500, b"", "Retry-After: 3"))
    ladder.skip()
    ladder.advance(3)
    ladder.shows("<< UPDATE")
    ladder.receive(phone.reply(ladder.request(), 500))
    assert ladder.event(AnswerReceived).status == 500


def test_no_update_to_a_peer_that_takes_none() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER, "Allow: INVITE, ACK, BYE"))
    leg = ladder.event(InviteReceived).leg
    ladder.do("accept", leg, ANSWER)
    with pytest.raises(SipError, match="does not take UPDATE"):
        ladder.do("update", leg, OFFER)
