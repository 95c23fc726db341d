"""Who may speak, how much, where replies and requests go, and phones of before RFC 3261."""

from __future__ import annotations

import pytest

from tests.sip.ladder import ANSWER, OFFER, PHONE, Ladder, Phone, established
from voiceagent.sip.effects import Address, Ended, InviteReceived, SendDatagram

# Who may speak.


def test_only_loopback_is_heard_by_default() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER), Address("192.0.2.1", 5060))
    ladder.shows("""
        >> INVITE
        ** Dropped unknown_source
    """)
    assert ladder.endpoint.figures().counts == {"drop_unknown_source": 1}


def test_strangers_get_a_stateless_403_where_wanted() -> None:
    ladder, phone = Ladder(refuse_unknown_sources=True), Phone()
    invite = phone.request("INVITE", OFFER)
    ladder.receive(invite, Address("192.0.2.1", 5060))
    first = ladder.response()
    ladder.receive(invite, Address("192.0.2.1", 5060))
    assert (first.status, first.to.tag) == (403, ladder.response().to.tag)
    ladder.receive(phone.request("ACK", cseq=1), Address("192.0.2.1", 5060))
    ladder.nothing_left()


def test_an_allow_list_takes_addresses_and_blocks() -> None:
    ladder, phone = Ladder(accept_source=("192.0.2.0/24", "2001:db8::1")), Phone()
    for host, heard in (
        ("192.0.2.7", True),
        ("192.0.3.7", False),
        ("2001:db8::1", True),
        ("127.0.0.1", False),
    ):
        effects = ladder.endpoint.receive(phone.request("OPTIONS"), Address(host, 5060), 0.0)
        assert any(isinstance(effect, SendDatagram) for effect in effects) is heard


def test_another_host_cannot_speak_in_the_dialog() -> None:
    ladder, phone, _ = established(accept_source=lambda source: True)
    ladder.receive(phone.request("BYE"), Address("127.0.0.9", 5090))
    ladder.shows("""
        >> BYE
        << 481 BYE
    """)
    ladder.receive(phone.request("BYE"))
    assert ladder.event(Ended).by == "peer"
    assert ladder.endpoint.figures().counts["foreign_dialog_source"] == 1


def test_trunks_of_several_addresses_can_be_told() -> None:
    ladder, phone, _ = established(accept_source=lambda source: True, dialog_peer=lambda peer, source: True)
    ladder.receive(phone.request("BYE"), Address("127.0.0.9", 5090))
    assert ladder.event(Ended).by == "peer"


def test_another_host_cannot_cancel() -> None:
    ladder, phone = Ladder(accept_source=lambda source: True), Phone()
    ladder.receive(phone.request("INVITE", OFFER, branch="z9hG4bKx"))
    ladder.receive(phone.request("CANCEL", cseq=1, branch="z9hG4bKx"), Address("127.0.0.9", 5090))
    assert ladder.response().status == 481
    assert ladder.endpoint.figures().legs == 1


# Limits.


def test_calls_beyond_the_limit_get_503_and_leave_the_others_alone() -> None:
    ladder = Ladder(max_legs=2)
    phones = [Phone(call_id=f"c{n}") for n in range(3)]
    for phone in phones:
        ladder.receive(phone.request("INVITE", OFFER))
    response = ladder.response()
    assert response.status == 503
    assert 5 <= int(response.headers.get("Retry-After") or 0) <= 15
    assert ladder.endpoint.figures().legs == 2


def test_requests_beyond_the_transaction_limit_get_a_stateless_503() -> None:
    ladder, phone = Ladder(max_transactions=1), Phone()
    for _ in range(3):
        ladder.receive(phone.request("OPTIONS"))
    assert ladder.response().status == 503
    assert ladder.endpoint.figures().server_transactions == 1


# Where replies and requests go.


@pytest.mark.parametrize(
    ("via", "destination", "stamped"),
    [
        ("SIP/2.0/UDP 127.0.0.1:5090;branch=z9hG4bKa", Address("127.0.0.1", 5090), ()),
        ("SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKa", Address("127.0.0.1", 5060), ()),
        (
            "SIP/2.0/UDP 127.0.0.1:5090;branch=z9hG4bKa;rport",
            Address("127.0.0.7", 61000),
            ("rport=61000", "received=127.0.0.7"),
        ),
        ("SIP/2.0/UDP pbx.invalid:5090;branch=z9hG4bKa", Address("127.0.0.7", 5090), ("received=127.0.0.7",)),
        (
            "SIP/2.0/UDP a.invalid:5090;maddr=192.0.2.9;branch=z9hG4bKa",
            Address("127.0.0.7", 5090),
            ("maddr=192.0.2.9",),
        ),
    ],
)
def test_replies_go_where_rfc_3581_says(via: str, destination: Address, stamped: tuple[str, ...]) -> None:
    ladder, phone = Ladder(), Phone()
    source = destination if "rport" in via else Address(destination.host, 61001)
    ladder.receive(phone.request("OPTIONS", via=via), source)
    assert ladder.last_send().destination == destination
    top = ladder.response().headers.get("Via") or ""
    for piece in stamped:
        assert piece in top


def test_all_vias_are_copied_in_order() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(
        phone.request(
            "OPTIONS", b"", "Via: SIP/2.0/TCP two.invalid;branch=z9hG4bKb, SIP/2.0/UDP three.invalid;branch=c"
        )
    )
    assert [via.host for via in ladder.response().vias] == ["127.0.0.1", "two.invalid", "three.invalid"]


def test_record_route_is_copied_and_becomes_the_route_in_its_order() -> None:
    ladder, phone = Ladder(), Phone()
    routes = ("Record-Route: <sip:127.0.0.2:5062;lr>, <sip:127.0.0.3;lr>", "Record-Route: <sip:127.0.0.4;lr>")
    ladder.receive(phone.request("INVITE", OFFER, *routes))
    leg = ladder.event(InviteReceived).leg
    ladder.do("ring", leg)
    assert len(ladder.response().record_route) == 3
    ladder.do("accept", leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    assert [route.uri.host for route in ladder.response().record_route] == [
        "127.0.0.2",
        "127.0.0.3",
        "127.0.0.4",
    ]
    ladder.receive(phone.request("ACK", cseq=1))
    ladder.do("hang_up", leg)
    bye = ladder.request()
    assert bye.uri == "sip:alice@127.0.0.1:5090"
    assert [route.uri.host for route in bye.route] == ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
    assert ladder.last_send().destination == Address("127.0.0.2", 5062)


def test_a_strict_router_becomes_the_request_uri() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER, "Record-Route: <sip:127.0.0.2>, <sip:127.0.0.3;lr>"))
    leg = ladder.event(InviteReceived).leg
    ladder.do("accept", leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("ACK", cseq=1))
    ladder.do("hang_up", leg)
    bye = ladder.request()
    assert bye.uri == "sip:127.0.0.2"
    assert [route.uri_text for route in bye.route] == ["sip:127.0.0.3;lr", "sip:alice@127.0.0.1:5090"]
    assert ladder.last_send().destination == Address("127.0.0.2", 5060)


def test_a_contact_with_a_host_name_is_reached_where_the_invite_came_from() -> None:
    ladder, phone = Ladder(), Phone()
    invite = phone.request("INVITE", OFFER, "Contact: <sip:alice@pbx.invalid>", contact=False)
    ladder.receive(invite)
    leg = ladder.event(InviteReceived).leg
    ladder.do("accept", leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("ACK", cseq=1))
    ladder.do("hang_up", leg)
    assert ladder.last_send().destination == PHONE
    assert ladder.request().uri == "sip:alice@pbx.invalid"


def test_an_invite_without_contact_is_400() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER, contact=False))
    assert ladder.response().status == 400


# Phones of before RFC 3261: no magic cookie.


def test_rfc_2543_matching_of_repetition_ack_and_cancel() -> None:
    ladder, phone = Ladder(), Phone()
    via = "SIP/2.0/UDP 127.0.0.1:5090"
    invite = phone.request("INVITE", OFFER, via=via)
    ladder.receive(invite)
    ladder.receive(invite)
    ladder.receive(phone.request("CANCEL", via=via, cseq=1))
    tag = ladder.response().to.tag
    ladder.receive(phone.request("ACK", via=via, cseq=1, to_tag=tag))
    ladder.advance(31)
    ladder.shows("""
        >> INVITE
        << 100 INVITE
        ** InviteReceived
        >> INVITE
        << 100 INVITE
        >> CANCEL
        << 200 CANCEL
        << 487 INVITE
        ** Ended cancelled 487
        >> ACK
    """)
    ladder.settle()
    ladder.nothing_left()


def test_a_copy_of_another_client_with_the_same_branch_is_another_transaction() -> None:
    ladder = Ladder()
    for n, sent_by in enumerate(("127.0.0.1:5090", "127.0.0.1:5091")):
        phone = Phone(call_id=f"c{n}")
        ladder.receive(phone.request("INVITE", OFFER, via=f"SIP/2.0/UDP {sent_by};branch=z9hG4bKsame"))
    assert len(ladder.events(InviteReceived)) == 2


def test_garbage_is_counted_by_reason() -> None:
    ladder = Ladder()
    for data in (b"", b"\r\n\r\n", b"hello", b"\x80\x81"):
        ladder.receive(data)
    counts = ladder.endpoint.figures().counts
    assert counts["keep_alive"] == 2
    assert sum(count for why, count in counts.items() if why.startswith("drop_")) == 2


def test_an_unreadable_request_that_can_be_answered_is_answered_without_state() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("OPTIONS", cseq_method="bad method"))
    assert ladder.last_send().data.startswith(b"SIP/2.0 400 Bad Request\r\nVia: ")
    ladder.nothing_left()
