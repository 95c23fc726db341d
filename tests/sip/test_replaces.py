"""INVITE with Replaces (RFC 3891): every rule of its §3, and the Refer-To of an attended transfer."""

from __future__ import annotations

import pytest

from tests.sip.ladder import ANSWER, OFFER, Ladder, Phone, calling, established
from voiceagent.sip.dialogs.replaces import refer_target
from voiceagent.sip.effects import Address, Ended, InviteReceived
from voiceagent.sip.syntax.grammar_values import ReferTo, Replaces

TAGS = ("replaces",)
DESK = Address("127.0.0.1", 5098)


def newcomer() -> Phone:
    return Phone(DESK, call_id="call-2", tag="desk-tag")


def header(phone: Phone, **changes: str) -> str:
    """Replaces for the dialog that ``phone`` has with us."""
    parts = {"call_id": phone.call_id, "to": phone.to_tag, "from": phone.tag, "rest": "", **changes}
    return f"Replaces: {parts['call_id']};to-tag={parts['to']};from-tag={parts['from']}{parts['rest']}"


def test_a_new_dialog_takes_the_place_of_an_established_one() -> None:
    ladder, phone, leg = established(supported=TAGS)
    desk = newcomer()
    ladder.receive(desk.request("INVITE", OFFER, header(phone), "Require: replaces"))
    event = ladder.event(InviteReceived)
    assert event.replaces == leg
    assert event.leg != leg
    ladder.do("accept", event.leg, ANSWER)
    desk.to_tag = ladder.response().to.tag or ""
    ladder.do("hang_up", leg, reason="replaced")
    bye = ladder.request()
    ladder.receive(desk.request("ACK", cseq=desk.cseq))
    ladder.receive(phone.reply(bye, 200, tag=""))
    ladder.shows("""
        >> INVITE
        << 100 INVITE
        ** InviteReceived
        << 200 INVITE
        << BYE
        ** Ended us
        >> ACK
        ** Confirmed
        >> 200 BYE
    """)
    assert bye.call_id == phone.call_id
    ladder.receive(desk.request("BYE"))
    ladder.settle()
    ladder.nothing_left()


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"call_id": "other"}, 481),
        ({"to": "wrong"}, 481),
        ({"from": "wrong"}, 481),
        ({"rest": ";early-only"}, 486),
        ({"rest": "\r\nJoin: x;to-tag=1;from-tag=2"}, 400),
        ({"rest": "\r\nReplaces: x;to-tag=1;from-tag=2"}, 400),
        ({"rest": ", x;to-tag=1;from-tag=2"}, 400),
        ({"to": ""}, 400),
    ],
)
def test_what_cannot_be_replaced(changes: dict[str, str], status: int) -> None:
    ladder, phone, _ = established(supported=TAGS)
    offered = len(ladder.events(InviteReceived))
    ladder.receive(newcomer().request("INVITE", OFFER, header(phone, **changes)))
    assert ladder.response().status == status
    assert len(ladder.events(InviteReceived)) == offered
    assert ladder.events(Ended) == []


def test_a_call_that_is_ringing_here_is_not_ours_to_give_away() -> None:
    ladder, phone = Ladder(supported=TAGS), Phone()
    ladder.receive(phone.request("INVITE", OFFER))
    ladder.do("ring", ladder.event(InviteReceived).leg)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(newcomer().request("INVITE", OFFER, header(phone, rest=";early-only")))
    assert ladder.response().status == 481


def test_a_call_of_ours_that_rings_may_be_taken_over() -> None:
    ladder, phone = Ladder(supported=TAGS), Phone()
    leg = ladder.invite()
    invite = ladder.request()
    ladder.receive(phone.reply(invite, 180))
    replaces = f"Replaces: {invite.call_id};to-tag={invite.from_.tag};from-tag=callee;early-only"
    ladder.receive(newcomer().request("INVITE", OFFER, replaces))
    assert ladder.event(InviteReceived).replaces == leg
    ladder.do("accept", ladder.event(InviteReceived).leg, ANSWER)
    ladder.do("cancel", leg)
    assert ladder.request().method == "CANCEL"


def test_a_call_that_is_over_is_declined() -> None:
    ladder, phone, leg = established(supported=TAGS)
    ladder.do("hang_up", leg)  # its BYE is not answered yet
    ladder.receive(newcomer().request("INVITE", OFFER, header(phone)))
    assert ladder.response().status == 603


def test_a_stranger_may_not_take_a_call() -> None:
    ladder, phone, _ = established(supported=TAGS, accept_source=("127.0.0.0/8", "192.0.2.0/24"))
    stranger = Phone(Address("192.0.2.9", 5060), call_id="call-2", tag="t2")
    ladder.receive(stranger.request("INVITE", OFFER, header(phone)), Address("192.0.2.9", 5060))
    assert ladder.response().status == 403
    assert ladder.endpoint.figures().counts["replaces_refused"] == 1


def test_an_endpoint_without_it_does_not_look() -> None:
    ladder, phone, _ = established()
    ladder.receive(newcomer().request("INVITE", OFFER, header(phone)))
    assert ladder.event(InviteReceived).replaces == ""
    ladder.receive(Phone(DESK, "call-3", "t3").request("INVITE", OFFER, header(phone), "Require: replaces"))
    assert ladder.response().status == 420


def test_in_other_requests_it_is_400() -> None:
    ladder, phone, _ = established(supported=TAGS)
    ladder.receive(phone.request("OPTIONS", b"", header(phone)))
    assert ladder.response().status == 400


def test_an_attended_transfer_names_the_other_dialog_as_its_far_end_knows_it() -> None:
    ladder, _, leg, invite = calling(supported=TAGS)
    ladder.receive((caller := Phone()).request("INVITE", OFFER))
    inbound = ladder.event(InviteReceived).leg
    ladder.do("accept", inbound, ANSWER)
    caller.to_tag = ladder.response().to.tag or ""
    ladder.receive(caller.request("ACK", cseq=caller.cseq))
    ladder.do("refer_replacing", inbound, leg)
    refer = ladder.request()
    assert refer.call_id == caller.call_id
    assert refer.refer_to is not None
    assert refer.refer_to.replaces == Replaces(invite.call_id, "callee", invite.from_.tag or "")
    assert refer.headers.get(
        "Refer-To",
    ) == (
        f"<sip:bob@127.0.0.1:5090?Replaces={invite.call_id}%3Bto-tag%3Dcallee%3Bfrom-tag%3D{invite.from_.tag}>"
    )


def test_what_refer_to_must_escape_is_escaped() -> None:
    replaces = Replaces('a"<b>%@[::1]&c=d', "t&1", "f?2")
    value = refer_target("sip:bob@example.com;transport=tcp?Subject=x", replaces)
    assert value.count("<") == value.count(">") == 1
    assert ReferTo.parse(value).replaces == replaces
    assert value.startswith(
        "<sip:bob@example.com;transport=tcp?Replaces=a%22%3Cb%3E%25%40[::1]%26c%3Dd%3Bto-tag%3D"
    )
