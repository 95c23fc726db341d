"""Peers whose route or Contact names another host than the call came from, or an unreachable one."""

from __future__ import annotations

import pytest

from tests.sip.ladder import ANSWER, OFFER, Ladder, Phone, calling, established
from tests.sip.test_digest_account import asks, dialling, refuse
from tests.sip.trunk_phone import CARRIER, STRANGER, gated, phone_at, trunk
from voiceagent.sip.effects import Address, Answered, Ended, InviteReceived

GATEWAY = Address("198.51.100.20", 5060)
"""Names itself in Contact, and stands on no list."""
CARRIERS = trunk("carrier", "192.0.2.0/24")


def in_call_with_gateway() -> tuple[Ladder, Phone, str]:
    """An inbound call through the carrier whose Contact is the gateway."""
    ladder, phone = gated(CARRIERS), phone_at(CARRIER)
    invite = phone.request("INVITE", OFFER, f"Contact: <sip:gw@{GATEWAY.host}>", contact=False)
    ladder.receive(invite, CARRIER)
    leg = ladder.event(InviteReceived).leg
    ladder.do("accept", leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("ACK", cseq=1), CARRIER)
    ladder.skip()
    return ladder, phone, leg


def test_the_host_of_the_contact_is_heard_in_its_dialog() -> None:
    ladder, phone, leg = in_call_with_gateway()
    ladder.do("probe", leg)
    assert ladder.last_send().destination == GATEWAY
    ladder.receive(phone.reply(ladder.request(), 200), GATEWAY)
    ladder.receive(phone.request("INVITE", OFFER, to_tag=""), GATEWAY)
    ladder.receive(phone.request("BYE", to_tag="guessed"), GATEWAY)
    ladder.receive(phone.request("BYE", cseq=3), STRANGER)
    ladder.receive(phone.request("BYE", cseq=3), GATEWAY)
    ladder.shows("""
        << OPTIONS
        >> 200 OPTIONS
        ** ProbeAnswered 200
        >> INVITE
        ** Dropped unknown_source
        >> BYE
        ** Dropped unknown_source
        >> BYE
        ** Dropped unknown_source
        >> BYE
        << 200 BYE
        ** Ended peer
    """)
    ladder.settle()
    ladder.receive(phone.request("BYE", cseq=4), GATEWAY)
    assert ladder.endpoint.figures().counts["drop_unknown_source"] == 4
    assert not ladder.endpoint.accepts_flow(GATEWAY)
    ladder.nothing_left()


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_refreshed_contact_is_heard_as_well(method: str) -> None:
    ladder, phone, leg = in_call_with_gateway()
    moved = GATEWAY._replace(host="198.51.100.21")
    body = OFFER if method == "INVITE" else b""
    ladder.receive(
        phone.request(method, body, f"Contact: <sip:gw@{moved.host}>", contact=False, cseq=2), CARRIER
    )
    if method == "INVITE":
        ladder.do("answer_offer", leg, ANSWER)
        ladder.receive(phone.request("ACK", cseq=2), moved)
    ladder.do("hang_up", leg)
    assert ladder.last_send().destination == moved
    ladder.receive(phone.reply(ladder.request(), 200), moved)
    assert "drop_unknown_source" not in ladder.endpoint.figures().counts


def test_the_callee_behind_a_proxy_without_record_route_is_heard() -> None:
    ladder, phone, leg, _ = (*dialling(), None)
    ladder.receive(phone.reply(ladder.request(), 200, ANSWER, contact=f"<sip:b@{GATEWAY.host}>"), CARRIER)
    ladder.do("hang_up", leg)
    assert ladder.last_send().destination == GATEWAY
    ladder.receive(phone.reply(ladder.request(), 200), GATEWAY)
    assert ladder.endpoint.figures().dialogs == 0
    ladder.settle()
    assert not ladder.endpoint.accepts_flow(GATEWAY)


def test_a_peer_that_names_ever_new_hosts_is_not_followed_for_ever() -> None:
    ladder, phone, _ = in_call_with_gateway()
    for number in range(100):
        contact = f"Contact: <sip:gw@198.51.100.{number + 50}>"
        ladder.receive(phone.request("UPDATE", b"", contact, contact=False, cseq=number + 2), CARRIER)
    heard = [n for n in range(256) if ladder.endpoint.accepts_flow(Address(f"198.51.100.{n}", 5060))]
    assert len(heard) == 32
    assert ladder.endpoint.figures().counts["over_max_callees"] == 69


def test_credentials_do_not_follow_the_ack_to_a_foreign_contact() -> None:
    ladder, phone, _ = dialling()
    refuse(ladder, phone, asks())
    ladder.receive(phone.reply(ladder.request(), 200, ANSWER, contact=f"<sip:b@{GATEWAY.host}>"), CARRIER)
    assert (ladder.request().method, ladder.last_send().destination) == ("ACK", GATEWAY)
    assert "Authorization" not in ladder.request().headers


def test_the_ack_of_a_challenged_reinvite_bears_its_credentials() -> None:
    ladder, phone, leg = dialling()
    contact = f"<sip:b@{CARRIER.host}>"
    ladder.receive(phone.reply(ladder.request(), 200, ANSWER, contact=contact), CARRIER)
    ladder.do("offer", leg, OFFER)
    refuse(ladder, phone, asks())
    told = ladder.request().headers.get("Authorization")
    ladder.receive(phone.reply(ladder.request(), 200, ANSWER, contact=contact), CARRIER)
    assert ladder.request().method == "ACK"
    assert told is not None
    assert ladder.request().headers.get("Authorization") == told  # §13.2.2.4


@pytest.mark.parametrize("command", ["offer", "update"])
def test_an_offer_that_cannot_be_delivered_is_told_and_the_call_lives(command: str) -> None:
    ladder, phone, leg = established()
    ladder.do(command, leg, OFFER)
    ladder.do("transport_failed", phone.address)
    ladder.shows(f"""
        << {"INVITE" if command == "offer" else "UPDATE"}
        ** AnswerReceived 503
    """)
    ladder.do("offer", leg, OFFER)
    ladder.receive(phone.reply(ladder.request(), 200, ANSWER))
    ladder.receive(phone.request("BYE"))
    ladder.settle()
    ladder.nothing_left()


def test_a_refresh_that_cannot_be_delivered_is_tried_again() -> None:
    ladder, phone, _, _ = calling(session_expires=90)
    ladder.advance(45)
    ladder.do("transport_failed", phone.address)
    ladder.advance(5)
    ladder.receive(phone.reply(ladder.request(), 200, ANSWER))
    ladder.shows("""
        << INVITE
        << INVITE
        >> 200 INVITE
        << ACK
        ** SessionRefreshed INVITE
    """)
    assert ladder.events(Ended) == []
    ladder.advance(45)
    for _ in range(5):
        ladder.do("transport_failed", phone.address)
        ladder.advance(5)
    assert [line for _, line in ladder.lines if line.startswith("**")][-2:] == [
        "** RefreshRefused INVITE 408",
        "** Ended failed 408",
    ]


def test_a_call_that_forks_without_end_is_heard_so_far() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.invite()
    invite = ladder.request()
    for number in range(100):
        ladder.receive(phone.reply(invite, 180, tag=f"fork-{number}"))
    assert ladder.endpoint.figures().dialogs == 32
    for number in range(100):
        ladder.receive(phone.reply(invite, 200, ANSWER, tag=f"late-{number}"))
    assert len(ladder.events(Answered)) == 1
    assert len([one for one in ladder.sends() if one.data.startswith(b"ACK")]) == 32
    assert ladder.endpoint.figures().counts["over_max_forks"] == 68 + 68


def test_ipv6_is_one_address_however_it_is_spelt() -> None:
    home = Address("2001:db8::20", 5060)
    ladder = gated(trunk("six", "2001:db8::10/128"))
    phone = Phone(Address("[2001:db8::10]", 5060))
    invite = phone.request("INVITE", OFFER, "Contact: <sip:gw@[2001:DB8:0:0::20]>", contact=False)
    source = Address("2001:db8::10", 5060)
    ladder.receive(invite, source)
    ladder.do("accept", ladder.event(InviteReceived).leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("BYE"), home)
    assert ladder.event(Ended).by == "peer"
