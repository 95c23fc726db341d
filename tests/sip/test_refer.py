"""REFER: ours and its outcome, the peer's where allowed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sip.ladder import ANSWER, OFFER, Ladder, Phone, established
from voiceagent.errors import SipError
from voiceagent.sip.dialogs.refer import parse_sipfrag
from voiceagent.sip.effects import Ended, InviteReceived, ReferProgress

FRAG = "message/sipfrag;version=2.0"


def referred() -> tuple[Ladder, Phone, str, int]:
    ladder, phone, leg = established()
    ladder.do("refer", leg, "sip:200@127.0.0.1")
    request = ladder.request()
    assert request.headers.get("Refer-To") == "<sip:200@127.0.0.1>"
    return ladder, phone, leg, request.cseq.number


def notify(phone: Phone, status: str, state: str = "active;expires=60", event: str = "refer") -> bytes:
    return phone.request(
        "NOTIFY",
        f"SIP/2.0 {status}\r\n".encode(),
        f"Event: {event}",
        f"Subscription-State: {state}",
        content_type=FRAG,
    )


def test_a_transfer_that_succeeds() -> None:
    ladder, phone, leg, _ = referred()
    ladder.receive(phone.reply(ladder.request(), 202, reason="Accepted"))
    ladder.receive(notify(phone, "100 Trying"))
    ladder.receive(notify(phone, "180 Ringing"))
    ladder.receive(notify(phone, "200 OK", "terminated;reason=noresource"))
    ladder.do("hang_up", leg)
    ladder.shows("""
        << REFER
        >> 202 REFER
        ** ReferProgress 202
        >> NOTIFY
        << 200 NOTIFY
        ** ReferProgress 100
        >> NOTIFY
        << 200 NOTIFY
        ** ReferProgress 180
        >> NOTIFY
        << 200 NOTIFY
        ** ReferProgress 200 final
        << BYE
        ** Ended us
    """)


def test_a_transfer_that_is_refused_at_once() -> None:
    ladder, phone, _, _ = referred()
    ladder.receive(phone.reply(ladder.request(), 603, reason="Decline"))
    progress = ladder.event(ReferProgress)
    assert (progress.status, progress.reason, progress.final) == (603, "Decline", True)
    ladder.receive(notify(phone, "200 OK", "terminated"))
    assert ladder.response().status == 481


def test_a_transfer_whose_target_is_busy() -> None:
    ladder, phone, _, number = referred()
    ladder.receive(phone.reply(ladder.request(), 202))
    ladder.receive(notify(phone, "486 Busy Here", "terminated;reason=noresource", f"refer;id={number}"))
    progress = ladder.event(ReferProgress)
    assert (progress.status, progress.reason, progress.final) == (486, "Busy Here", True)


def test_the_notify_may_overtake_the_202() -> None:
    ladder, phone, _, _ = referred()
    refer = ladder.request()
    ladder.receive(notify(phone, "200 OK", "terminated"))
    ladder.receive(phone.reply(refer, 202))
    assert [(event.status, event.final) for event in ladder.events(ReferProgress)] == [(200, True)]


def test_a_subscription_that_ends_without_result_is_final() -> None:
    ladder, phone, _, _ = referred()
    ladder.receive(phone.reply(ladder.request(), 202))
    ladder.receive(
        phone.request("NOTIFY", b"", "Event: refer", "Subscription-State: terminated;reason=giveup")
    )
    progress = ladder.event(ReferProgress)
    assert (progress.status, progress.reason, progress.final) == (408, "reason=giveup", True)


def test_silence_is_told_as_408() -> None:
    ladder, phone, _, _ = referred()
    ladder.receive(phone.reply(ladder.request(), 202))
    ladder.advance(180)
    progress = ladder.event(ReferProgress)
    assert (progress.status, progress.final) == (408, True)


def test_a_peer_that_hangs_up_first_still_gets_its_notify_answered() -> None:
    ladder, phone, _, _ = referred()
    ladder.receive(phone.reply(ladder.request(), 202))
    ladder.receive(phone.request("BYE"))
    ladder.receive(notify(phone, "200 OK", "terminated"))
    assert ladder.response().status == 200
    assert [event.status for event in ladder.events(ReferProgress)] == [202]
    assert len(ladder.events(Ended)) == 1
    ladder.settle()
    ladder.nothing_left()


def test_two_transfers_are_told_apart_by_id() -> None:
    ladder, phone, leg, first = referred()
    ladder.do("refer", leg, "sip:300@127.0.0.1")
    second = ladder.request().cseq.number
    ladder.receive(notify(phone, "404 Not Found", "terminated", f"refer;id={second}"))
    ladder.receive(notify(phone, "200 OK", "terminated", f"refer;id={first}"))
    assert [event.status for event in ladder.events(ReferProgress)] == [404, 200]


@pytest.mark.parametrize(
    ("event", "content_type", "status"),
    [("presence", FRAG, 489), ("refer;id=99", FRAG, 481), ("refer", "text/plain", 415)],
)
def test_notifies_that_mean_nothing_are_refused(event: str, content_type: str, status: int) -> None:
    ladder, phone, _, _ = referred()
    ladder.receive(
        phone.request(
            "NOTIFY",
            b"SIP/2.0 200 OK",
            f"Event: {event}",
            "Subscription-State: active",
            content_type=content_type,
        )
    )
    assert ladder.response().status == status
    assert ladder.events(ReferProgress) == []


def test_an_attended_transfer_keeps_its_replaces() -> None:
    ladder, _, leg = established()
    ladder.do(
        "refer", leg, "<sip:200@127.0.0.1?Replaces=abc%3Bto-tag%3D1%3Bfrom-tag%3D2>", headers=[("X-A", "1")]
    )
    refer_to = ladder.request().refer_to
    assert refer_to is not None
    assert refer_to.replaces is not None
    assert refer_to.replaces.call_id == "abc"
    assert ladder.request().headers.get("X-A") == "1"


def test_a_refer_must_name_one_target() -> None:
    ladder, phone, _ = established(allow_refer=True)
    ladder.receive(phone.request("REFER"))
    assert ladder.response().status == 400


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"SIP/2.0 200 OK\r\n", (200, "OK")),
        (b"SIP/2.0 486\r\n", (486, "")),
        (b"\r\nSIP/2.0 180 Ringing", (180, "Ringing")),
        (b"HTTP/1.1 200 OK", None),
        (b"SIP/2.0 abc", None),
        (b"SIP/2.0 2000 OK", None),
        (b"", None),
    ],
)
def test_sipfrag(body: bytes, expected: tuple[int, str] | None) -> None:
    assert parse_sipfrag(body) == expected


@given(st.binary(max_size=60))
def test_sipfrag_takes_any_bytes(body: bytes) -> None:
    told = parse_sipfrag(body)
    assert told is None or 100 <= told[0] <= 699


def test_a_notify_out_of_the_blue_is_481() -> None:
    ladder, phone, _ = established()
    ladder.receive(notify(phone, "200 OK"))
    assert ladder.response().status == 481
    ladder.receive(phone.request("INVITE", OFFER))
    assert ladder.endpoint.figures().legs == 1


@pytest.mark.parametrize(
    ("allow", "asked"), [("INVITE, ACK, BYE", False), ("INVITE, REFER", True), ("", True)]
)
def test_a_phone_that_does_not_take_transfers_is_not_asked(allow: str, asked: bool) -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER, *([f"Allow: {allow}"] if allow else [])))
    leg = ladder.event(InviteReceived).leg
    ladder.do("accept", leg, ANSWER)
    ladder.receive(phone.request("ACK", cseq=1))
    if asked:
        ladder.do("refer", leg, "sip:200@127.0.0.1")
        assert ladder.request().method == "REFER"
        return
    with pytest.raises(SipError, match="not supported") as refused:
        ladder.do("refer", leg, "sip:200@127.0.0.1")
    assert (refused.value.status, refused.value.code) == (405, "not_supported")
