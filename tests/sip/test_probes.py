"""The thirteen questions that tell a SIP stack from a socket with a parser; each has one right answer."""

from __future__ import annotations

import pytest

from tests.sip.ladder import ANSWER, OFFER, PHONE, Ladder, Phone, established
from voiceagent.sip.effects import InfoReceived, InviteReceived, ReferReceived, SendDatagram

BAD_SDP = b"v=0\r\nthis is no session description\r\n"


def ringing() -> tuple[Ladder, Phone, str, bytes]:
    ladder, phone = Ladder(), Phone()
    invite = phone.request("INVITE", OFFER)
    ladder.receive(invite)
    leg = ladder.event(InviteReceived).leg
    ladder.do("ring", leg)
    return ladder, phone, leg, invite


def test_01_invite_again_while_ringing_repeats_the_180_and_opens_no_second_call() -> None:
    ladder, _, _, invite = ringing()
    first = ladder.last_send().data
    ladder.receive(invite)
    ladder.shows("""
        >> INVITE
        << 100 INVITE
        ** InviteReceived
        << 180 INVITE
        >> INVITE
        << 180 INVITE
    """)
    assert ladder.last_send().data == first
    assert ladder.endpoint.figures().legs == 1


def test_02_invite_again_after_the_200_repeats_it_until_the_ack_and_is_then_absorbed() -> None:
    ladder, phone, leg, invite = ringing()
    ladder.do("accept", leg, ANSWER)
    first = ladder.last_send().data
    ladder.skip()
    ladder.receive(invite)
    assert ladder.last_send().data == first
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("ACK", cseq=1))
    ladder.receive(invite)
    ladder.shows("""
        >> INVITE
        << 200 INVITE
        >> ACK
        ** Confirmed
        >> INVITE
    """)


def test_03_the_200_is_repeated_until_the_ack() -> None:
    ladder, phone, leg, _ = ringing()
    ladder.do("accept", leg, ANSWER)
    ladder.skip()
    ladder.advance(4.0)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("ACK", cseq=1))
    ladder.advance(60)
    ladder.shows(
        """
        0.50 << 200 INVITE
        1.50 << 200 INVITE
        3.50 << 200 INVITE
        4.00 >> ACK
        4.00 ** Confirmed
    """,
        times=True,
    )


def test_04_bye_again_gets_the_same_200() -> None:
    ladder, phone, _ = established()
    bye = phone.request("BYE")
    ladder.receive(bye)
    first = ladder.last_send().data
    ladder.receive(bye)
    ladder.shows("""
        >> BYE
        << 200 BYE
        ** Ended peer
        >> BYE
        << 200 BYE
    """)
    assert ladder.last_send().data == first


def test_05_info_with_dtmf_relay_is_answered_200_and_told() -> None:
    ladder, phone, _ = established()
    body = b"Signal=5\r\nDuration=160\r\n"
    ladder.receive(phone.request("INFO", body, content_type="application/dtmf-relay"))
    ladder.shows("""
        >> INFO
        << 200 INFO
        ** InfoReceived application/dtmf-relay
    """)
    assert ladder.event(InfoReceived).body == body


def test_06_reinvite_for_hold_reaches_the_application_and_carries_its_answer() -> None:
    ladder, phone, leg = established()
    ladder.receive(phone.request("INVITE", OFFER + b"a=sendonly\r\n"))
    ladder.do("answer_offer", leg, ANSWER + b"a=recvonly\r\n")
    assert b"a=recvonly" in ladder.response().body
    ladder.receive(phone.request("ACK", cseq=phone.cseq))
    ladder.advance(60)
    ladder.shows("""
        >> INVITE
        << 100 INVITE
        ** OfferReceived INVITE
        << 200 INVITE
        >> ACK
    """)


def test_07_update_is_answered() -> None:
    ladder, phone, leg = established()
    ladder.receive(phone.request("UPDATE", OFFER))
    ladder.do("answer_offer", leg, ANSWER)
    ladder.receive(phone.request("UPDATE"))
    ladder.shows("""
        >> UPDATE
        ** OfferReceived UPDATE
        << 200 UPDATE
        >> UPDATE
        << 200 UPDATE
    """)


@pytest.mark.parametrize("allowed", [False, True])
def test_08_refer_in_dialog_is_taken_with_notify_or_refused_as_configured(allowed: bool) -> None:
    ladder, phone, _ = established(allow_refer=allowed)
    ladder.receive(phone.request("REFER", b"", "Refer-To: <sip:200@127.0.0.1>"))
    if not allowed:
        ladder.shows("""
            >> REFER
            ** ReferReceived sip:200@127.0.0.1 refused
            << 405 REFER
        """)
        assert "REFER" not in (ladder.response().headers.get("Allow") or "")
        return
    told = ladder.event(ReferReceived)
    ladder.do("accept_refer", told.leg, told.refer)
    ladder.shows("""
        >> REFER
        ** ReferReceived sip:200@127.0.0.1
        << 202 REFER
        << NOTIFY
    """)
    notify = ladder.request()
    assert notify.headers.get("Event") == "refer;id=2"
    assert (notify.headers.get("Subscription-State") or "").startswith("active")
    assert notify.body == b"SIP/2.0 100 Trying\r\n"


def test_09_an_unknown_extension_is_refused_with_420() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER, "Require: nosuchext"))
    ladder.shows("""
        >> INVITE
        << 420 INVITE
    """)
    assert ladder.response().headers.get("Unsupported") == "nosuchext"


def test_10_a_broken_session_description_never_loses_the_call_unanswered() -> None:
    """The endpoint hands bodies on unread; the application's 488 goes out as an ordinary refusal."""
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", BAD_SDP))
    assert ladder.event(InviteReceived).offer == BAD_SDP
    ladder.do("reject", ladder.event(InviteReceived).leg, 488, "")
    ladder.shows("""
        >> INVITE
        << 100 INVITE
        ** InviteReceived
        << 488 INVITE
        ** Ended rejected 488
    """)


def test_11_the_same_request_over_another_path_is_482() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER))
    ladder.receive(phone.request("INVITE", OFFER, cseq=1, branch="z9hG4bK-other-path"))
    ladder.shows("""
        >> INVITE
        << 100 INVITE
        ** InviteReceived
        >> INVITE
        << 482 INVITE
    """)


def test_12_another_protocol_version_is_505() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.take(ladder.endpoint.receive(phone.request("OPTIONS", version="SIP/7.0"), PHONE, 0.0))
    ladder.shows("<< 505 OPTIONS")


def test_13_a_call_goes_through_after_a_flood_of_garbage() -> None:
    ladder, phone = Ladder(), Phone()
    junk = [
        b"",
        b"\x00",
        b"\r\n\r\n",
        b"INVITE",
        b"\xff" * 700,
        b"SIP/2.0 200 OK\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ]
    for data in junk * 50:
        assert not [e for e in ladder.endpoint.receive(data, PHONE, 0.0) if isinstance(e, SendDatagram)]
    ladder.receive(phone.request("INVITE", OFFER))
    ladder.do("accept", ladder.event(InviteReceived).leg, ANSWER)
    ladder.shows("""
        >> INVITE
        << 100 INVITE
        ** InviteReceived
        << 200 INVITE
    """)
