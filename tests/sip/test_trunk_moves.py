"""A trunk's name leads elsewhere: registration and keep-alives follow, calls stay, the password moves."""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import Any

from tests.sip.ladder import ANSWER, OFFER, Ladder
from tests.sip.trunk_phone import CARRIER, gated, phone_at, trunk
from voiceagent.sip.effects import Address, Dropped, Ended, InviteReceived, TrunkState
from voiceagent.sip.trunk.trunks import Trunk

SECOND = Address("192.0.2.11", 5060)


def carrier(*servers: Address, **rules: Any) -> Trunk:
    hosts = [f"{server.host}/32" for server in servers]
    return trunk("carrier", *hosts, servers=servers, domain="carrier.example", has_servers=True, **rules)


def moved(to: Trunk, *servers: Address) -> Trunk:
    networks = tuple(ipaddress.ip_network(server.host) for server in servers)
    return dataclasses.replace(to, servers=servers, networks=networks, trouble="")


def move(ladder: Ladder, to: Trunk, *servers: Address) -> None:
    ladder.do("renew_trunk", moved(to, *servers))


def states(ladder: Ladder) -> list[tuple[str, str]]:
    return [(event.state, event.detail) for event in ladder.events(TrunkState)]


def test_a_registration_moves_with_its_trunk() -> None:
    one = carrier(CARRIER, username="me", password="pw", register=True)
    ladder = gated(one)
    ladder.do("open_trunks")
    phone = phone_at(CARRIER)
    granted = "Contact: <sip:me@127.0.0.1:5060>;expires=600"
    ladder.receive(phone.reply(ladder.request(), 200, b"", granted, contact=""), CARRIER)
    sent = len(ladder.sends())
    move(ladder, one, SECOND, CARRIER)  # one more, but ours is still among them
    assert len(ladder.sends()) == sent
    move(ladder, one, SECOND)
    assert ladder.last_send().destination == SECOND
    assert ladder.request().method == "REGISTER"
    assert states(ladder)[-1] == ("registering", "its servers have changed")
    ladder.receive(phone.reply(ladder.request(), 200, b"", granted, contact=""), SECOND)
    assert states(ladder)[-1][0] == "registered"


def test_a_refused_password_is_not_tried_at_once_where_the_name_leads_now() -> None:
    one = carrier(CARRIER, username="me", password="pw", register=True)
    ladder = gated(one)
    ladder.do("open_trunks")
    ladder.receive(phone_at(CARRIER).reply(ladder.request(), 403, b"", contact=""), CARRIER)
    sent = len(ladder.sends())
    move(ladder, one, SECOND)
    assert len(ladder.sends()) == sent
    ladder.advance(2400)
    assert ladder.last_send().destination == SECOND


def test_a_trunk_without_servers_begins_when_it_has_some() -> None:
    one = carrier(username="me", password="pw", register=True, keepalive_s=30, trouble="no address")
    ladder = gated(one)
    ladder.do("open_trunks")
    (status,) = ladder.endpoint.trunk_status()
    assert (ladder.sends(), status.up, status.detail) == ([], False, "no address")
    move(ladder, one, CARRIER)
    methods = {ladder.sent(index).cseq.method for index in range(len(ladder.sends()))}
    assert methods == {"OPTIONS", "REGISTER"}
    assert {send.destination for send in ladder.sends()} == {CARRIER}


def test_only_servers_of_now_are_asked_whether_they_live() -> None:
    one = carrier(CARRIER, keepalive_s=30)
    ladder = gated(one)
    ladder.do("open_trunks")
    ladder.receive(phone_at(CARRIER).reply(ladder.request(), 200, b""), CARRIER)
    move(ladder, one, CARRIER, SECOND)
    assert ladder.last_send().destination == SECOND  # at once; the other keeps its rhythm
    ladder.receive(phone_at(SECOND).reply(ladder.request(), 200, b""), SECOND)
    move(ladder, one, SECOND)
    ladder.skip()
    before = len(ladder.sends())
    ladder.advance(31)
    assert {send.destination for send in ladder.sends()[before:]} == {SECOND}
    ladder.do("close_trunks")
    before = len(ladder.sends())
    ladder.advance(120)
    assert len(ladder.sends()) == before


def test_a_call_that_stands_ends_from_where_it_came_and_no_new_one_begins_there() -> None:
    one = carrier(CARRIER)
    ladder = gated(one)
    phone = phone_at(CARRIER)
    ladder.receive(phone.request("INVITE", body=OFFER), CARRIER)
    leg = ladder.event(InviteReceived).leg
    ladder.do("accept", leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("ACK"), CARRIER)
    move(ladder, one, SECOND)
    ladder.receive(phone_at(CARRIER, "call-2").request("INVITE", body=OFFER), CARRIER)
    assert ladder.event(Dropped).why == "unknown_source"
    ladder.receive(phone.request("BYE"), CARRIER)
    assert ladder.response().status == 200
    assert ladder.event(Ended).by == "peer"
    ladder.advance(200)
    assert CARRIER.host not in ladder.endpoint._core.callees
    ladder.receive(phone_at(SECOND, "call-3").request("INVITE", body=OFFER), SECOND)
    assert len(ladder.events(InviteReceived)) == 2


def test_the_password_goes_where_the_trunk_is_and_no_longer_where_it_was() -> None:
    challenge = 'WWW-Authenticate: Digest realm="carrier", nonce="n1", algorithm=SHA-256, qop="auth"'
    one = carrier(CARRIER, username="me", password="pw")
    ladder = gated(one)
    kwargs: Any = {"from_uri": "sip:me@carrier.example", "sdp": OFFER, "trunk": "carrier"}
    ladder.do("renew_trunk", moved(one, SECOND))
    for destination, answered in ((CARRIER, False), (SECOND, True)):
        leg, effects = ladder.endpoint.invite(
            "sip:1@carrier.example", destination=destination, now=ladder.now, **kwargs
        )
        ladder.take(effects)
        assert ladder.endpoint.call_id(leg) == ladder.request().call_id
        phone = phone_at(destination)
        ladder.receive(phone.reply(ladder.request(), 401, b"", challenge), destination)
        assert (ladder.request().headers.get("Authorization") is not None) is answered
    assert ladder.endpoint.call_id("nobody") == ""
