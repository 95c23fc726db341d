"""Calls over TCP and TLS: which connection a message takes, and what becomes of it when that one breaks."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sip.ladder import ANSWER, OFFER, OURS, Ladder, Phone
from voiceagent.sip.attempts import send_outside
from voiceagent.sip.effects import Address, Ended, InviteReceived

TCP = OURS._replace(transport="tcp")
TLS = Address("127.0.0.1", 5061, "tls")
LISTENERS = (OURS, TCP, TLS)
FLOW = Address("127.0.0.1", 40001, "tcp", 1)
"""A phone that listens at port 5090 and has connected from 40001."""
VIA = "SIP/2.0/TCP 127.0.0.1:5090;branch={};rport"


def streaming(flow: Address = FLOW, identities: tuple[str, ...] = (), **config: Any) -> Ladder:
    ladder = Ladder(listeners=LISTENERS, **config)
    ladder.take(ladder.endpoint.flow_opened(flow, ladder.now, identities, listener=1))
    return ladder


def offered(
    ladder: Ladder, *headers: str, via: str = VIA, flow: Address = FLOW, **how: Any
) -> tuple[Phone, str]:
    phone = Phone()
    ladder.receive(phone.request("INVITE", OFFER, *headers, via=via.format(phone.branch()), **how), flow)
    return phone, ladder.event(InviteReceived).leg


def in_call(
    ladder: Ladder, *headers: str, via: str = VIA, flow: Address = FLOW, **how: Any
) -> tuple[Phone, str]:
    phone, leg = offered(ladder, *headers, via=via, flow=flow, **how)
    ladder.do("accept", leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("ACK", cseq=1, via=via.format(phone.branch())), flow)
    ladder.skip()
    return phone, leg


def closed(ladder: Ladder, flow: Address = FLOW) -> None:
    ladder.take(ladder.endpoint.flow_closed(flow, ladder.now))


# Replies and requests within a dialog.


def test_replies_go_back_on_the_connection_whatever_via_says() -> None:
    ladder = streaming()
    for via in (VIA, "SIP/2.0/TCP 192.0.2.9;branch={}", "SIP/2.0/UDP 127.0.0.1:1;branch={}"):
        _, leg = offered(ladder, via=via)
        assert ladder.last_send().destination == FLOW
        ladder.do("reject", leg, 486, "Busy Here")
        assert ladder.last_send().destination == FLOW


def test_what_a_stream_peer_is_told_of_itself_and_of_us() -> None:
    ladder = streaming()
    _, leg = offered(ladder)
    ladder.do("accept", leg, ANSWER)
    answer = ladder.response()
    assert (answer.via.rport, answer.via.received) == (40001, "127.0.0.1")
    assert answer.contact is not None
    assert answer.contact.uri_text == "sip:100@127.0.0.1:5060;transport=tcp"


def test_a_refusal_on_a_stream_is_not_repeated_and_a_2xx_is() -> None:
    """Timer G is for UDP only; the 2xx has other hops before it (§13.3.1.4)."""
    ladder = streaming()
    _, leg = offered(ladder)
    ladder.do("reject", leg, 486, "Busy Here")
    ladder.skip()
    ladder.advance(10)
    ladder.shows("")
    ladder = streaming()
    _, leg = offered(ladder)
    ladder.do("accept", leg, ANSWER)
    ladder.skip()
    ladder.advance(0.6)
    ladder.shows("<< 200 INVITE")


def test_an_answer_whose_connection_is_gone_goes_to_where_the_phone_listens() -> None:
    ladder = streaming()
    phone, leg = offered(ladder)
    closed(ladder)
    ladder.do("accept", leg, ANSWER)
    assert ladder.last_send().destination == Address("127.0.0.1", 5090, "tcp")
    again = Address("127.0.0.1", 40002, "tcp", 2)
    ladder.take(ladder.endpoint.flow_opened(again, ladder.now))
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("ACK", cseq=1, via=VIA.format(phone.branch())), again)
    ladder.shows("""
        >> INVITE
        << 100 INVITE
        ** InviteReceived
        << 200 INVITE
        >> ACK
        ** Confirmed
    """)


def test_a_2xx_under_way_changes_its_way_with_the_next_repetition() -> None:
    ladder = streaming()
    _, leg = offered(ladder, via="SIP/2.0/TCP 127.0.0.1;branch={}")
    ladder.do("accept", leg, ANSWER)
    closed(ladder)
    ladder.advance(0.5)
    assert ladder.last_send().destination == Address("127.0.0.1", 5060, "tcp")


@pytest.mark.parametrize(
    "contact",
    [
        "<sip:alice@127.0.0.1:5090;transport=tcp>",
        "<sip:alice@127.0.0.1:5090>",
        "<sip:alice@127.0.0.1:40001;transport=TCP>",
        "<sip:alice@127.0.0.1>",
        "<sip:alice@phone.example.invalid>",
    ],
)
def test_a_request_of_ours_takes_the_connection_of_its_dialog(contact: str) -> None:
    ladder = streaming()
    _, leg = in_call(ladder, f"Contact: {contact}", contact=False)
    ladder.do("hang_up", leg)
    assert ladder.last_send().destination == FLOW
    assert ladder.request().via.transport == "TCP"


def test_a_phone_behind_a_nat_is_reached_by_its_connection_only() -> None:
    ladder = streaming()
    hidden = "SIP/2.0/TCP 192.168.1.5:5090;branch={};rport"
    _, leg = in_call(ladder, "Contact: <sip:alice@192.168.1.5:5090;transport=tcp>", via=hidden, contact=False)
    ladder.do("send_info", leg, "application/dtmf", b"1")
    assert ladder.last_send().destination == FLOW
    closed(ladder)
    ladder.do("hang_up", leg)
    assert ladder.last_send().destination == Address("127.0.0.1", 5090, "tcp")


@pytest.mark.parametrize(
    ("contact", "hop"),
    [
        ("<sip:alice@127.0.0.7:5070>", Address("127.0.0.7", 5070)),
        ("<sip:alice@127.0.0.7;transport=tcp>", Address("127.0.0.7", 5060, "tcp")),
        ("<sip:alice@127.0.0.1:5090;transport=udp>", Address("127.0.0.1", 5090)),
        ("<sip:alice@127.0.0.1:5077;transport=tcp>", Address("127.0.0.1", 5077, "tcp")),
        ("<sips:alice@127.0.0.1>", Address("127.0.0.1", 5061, "tls")),
    ],
)
def test_a_contact_elsewhere_is_followed(contact: str, hop: Address) -> None:
    ladder = streaming()
    _, leg = in_call(ladder, f"Contact: {contact}", contact=False)
    ladder.do("hang_up", leg)
    assert ladder.last_send().destination == hop
    assert ladder.request().via.transport == hop.transport.upper()


def test_the_route_set_decides_before_the_contact() -> None:
    ladder = streaming()
    routes = "Record-Route: <sip:127.0.0.1:5090;transport=tcp;lr>, <sip:127.0.0.8;lr>"
    _, leg = in_call(ladder, routes, "Contact: <sip:alice@127.0.0.9>", contact=False)
    ladder.do("send_info", leg, "application/dtmf", b"1")
    assert ladder.last_send().destination == FLOW  # the proxy that the connection leads to
    closed(ladder)
    ladder.do("hang_up", leg)
    assert ladder.last_send().destination == Address("127.0.0.1", 5090, "tcp")


def test_a_call_survives_its_connection() -> None:
    ladder = streaming()
    phone, leg = in_call(ladder)
    closed(ladder)
    again = Address("127.0.0.1", 40009, "tcp", 7)
    ladder.take(ladder.endpoint.flow_opened(again, ladder.now))
    ladder.receive(phone.request("BYE", via=VIA.format(phone.branch())), again)
    assert ladder.last_send().destination == again
    ladder.shows("""
        >> BYE
        << 200 BYE
        ** Ended peer
    """)
    assert ladder.event(Ended).leg == leg


def test_a_request_that_waits_on_a_connection_is_sent_once_more_to_where_the_phone_listens() -> None:
    ladder = streaming()
    _, leg = in_call(ladder)
    ladder.do("probe", leg)
    first = ladder.request()
    closed(ladder)
    assert ladder.request().via.branch == first.via.branch
    home = Address("127.0.0.1", 5090, "tcp")
    assert ladder.last_send().destination == home
    ladder.do("transport_failed", home)
    ladder.shows("""
        << OPTIONS
        << OPTIONS
        << BYE
        ** Ended failed 408
    """)
    ladder.settle()
    ladder.nothing_left()


# Calls we place.


def test_a_call_over_tls_says_so_and_stays_on_its_connection() -> None:
    ladder, phone = streaming(), Phone()
    peer = Address("127.0.0.9", 5061, "tls", name="pbx.example")
    leg = ladder.invite("sip:bob@pbx.example", destination=peer)
    invite = ladder.request()
    assert (invite.via.transport, invite.via.sent_by) == ("TLS", "127.0.0.1:5061")
    assert "alias" in invite.via.params
    assert invite.contact is not None
    assert invite.contact.uri_text == "sip:voiceagent@127.0.0.1:5061;transport=tls"
    flow = Address("127.0.0.9", 5061, "tls", 5)
    ladder.take(ladder.endpoint.flow_opened(flow, ladder.now))
    ladder.receive(phone.reply(invite, 200, ANSWER, contact="<sip:bob@127.0.0.9:5061;transport=tls>"), flow)
    assert ladder.last_send().destination[:4] == flow[:4]
    closed(ladder, flow)
    ladder.do("hang_up", leg)
    assert ladder.last_send().destination == peer


def test_a_sips_call_has_a_sips_contact_both_ways() -> None:
    ladder = streaming()
    ladder.invite("sips:bob@127.0.0.9", destination=Address("127.0.0.9", 5061, "tls"))
    contact = ladder.request().contact
    assert contact is not None
    assert contact.uri_text == "sips:voiceagent@127.0.0.1:5061"
    flow = Address("127.0.0.1", 40003, "tls", 3)
    ladder.take(ladder.endpoint.flow_opened(flow, ladder.now, (), 2))
    _, leg = offered(ladder, via="SIP/2.0/TLS 127.0.0.1;branch={}", flow=flow, uri="sips:100@127.0.0.1")
    ladder.do("accept", leg, ANSWER)
    contact = ladder.response().contact
    assert contact is not None
    assert contact.uri_text == "sips:100@127.0.0.1:5061"


A, B, C = (Address(f"127.0.0.{last}", 5060) for last in (11, 12, 13))


def test_a_503_moves_the_call_to_the_next_destination() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.invite(destination=[A, B])
    first = ladder.request()
    ladder.receive(phone.reply(first, 100), A)
    ladder.receive(phone.reply(first, 503), A)
    second = ladder.request()
    assert ladder.last_send().destination == B
    assert second.via.branch != first.via.branch
    same = ("Call-ID", "CSeq", "From", "To", "Contact")
    assert [second.headers.get(name) for name in same] == [first.headers.get(name) for name in same]
    ladder.receive(phone.reply(second, 200, ANSWER), B)
    ladder.shows("""
        << INVITE
        >> 100 INVITE
        >> 503 INVITE
        << ACK
        << INVITE
        >> 200 INVITE
        << ACK
        ** Answered
    """)


def test_what_cannot_be_reached_is_passed_over_at_once() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.invite(destination=[A, B._replace(transport="tcp"), C])
    ladder.do("transport_failed", A)
    assert ladder.request().via.transport == "TCP"
    ladder.do("transport_failed", B._replace(transport="tcp"))
    ladder.receive(phone.reply(ladder.request(), 486), C)
    ladder.shows("""
        << INVITE
        << INVITE
        << INVITE
        >> 486 INVITE
        << ACK
        ** Ended rejected 486
    """)
    ladder.settle()
    ladder.nothing_left()


def test_silence_until_timer_b_leads_on() -> None:
    ladder = Ladder()
    ladder.invite(destination=[A, B])
    ladder.advance(31.9)
    assert {send.destination for send in ladder.sends()} == {A}
    ladder.advance(0.2)
    assert ladder.last_send().destination == B
    ladder.advance(32)
    assert (ladder.event(Ended).by, ladder.event(Ended).status) == ("timeout", 408)
    ladder.settle()
    ladder.nothing_left()


def test_when_nothing_can_be_reached_the_call_has_failed() -> None:
    ladder = Ladder()
    ladder.invite(destination=[A, B])
    ladder.do("transport_failed", A, reason="refused")
    ladder.do("transport_failed", B, reason="refused")
    ladder.shows("""
        << INVITE
        << INVITE
        ** Ended failed 503
    """)
    assert ladder.event(Ended).reason == "refused"
    ladder.settle()
    ladder.nothing_left()


def test_any_other_refusal_is_an_answer() -> None:
    for status in (404, 486, 500, 603):
        ladder, phone = Ladder(), Phone()
        ladder.invite(destination=[A, B])
        ladder.receive(phone.reply(ladder.request(), status), A)
        assert ladder.event(Ended).status == status


def test_a_call_given_up_is_not_tried_elsewhere() -> None:
    ladder, phone = Ladder(), Phone()
    leg = ladder.invite(destination=[A, B])
    ladder.do("cancel", leg)
    ladder.receive(phone.reply(ladder.request(), 503), A)
    ladder.shows("""
        << INVITE
        ** Ended us 487
        >> 503 INVITE
        << ACK
    """)
    ladder.settle()
    ladder.nothing_left()


def test_an_unreachable_address_does_not_touch_others() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.invite(destination=A)
    ladder.invite(destination=B)
    ladder.receive(phone.reply(ladder.request(), 180), B)
    ladder.do("transport_failed", Address(A.host, 5061))
    ladder.do("transport_failed", A._replace(transport="tcp"))
    ladder.do("transport_failed", B)  # it has answered: only silence can end this now
    assert ladder.events(Ended) == []
    ladder.do("transport_failed", A)
    assert len(ladder.events(Ended)) == 1


def test_a_request_outside_of_dialogs_moves_on_in_the_same_way() -> None:
    ladder, phone, told = Ladder(), Phone(), list[object]()
    core = ladder.endpoint._core  # pyright: ignore[reportPrivateUsage]
    send_outside(
        core,
        "OPTIONS",
        "sip:pbx.example",
        [A, B._replace(transport="tcp"), C],
        from_="<sip:us@pbx.example>;tag=1",
        to="<sip:us@pbx.example>",
        call_id="probe-1",
        number=7,
        contact=lambda destination: core.contact(destination, "us"),
        on_response=lambda response, client: told.append((response.status, client.destination)),
        on_failure=lambda status, why: told.append((status, why)),
    )
    ladder.take(core.wire.take())
    ladder.advance(32)
    second = ladder.request()
    assert (second.cseq.number, second.via.transport, second.call_id) == (7, "TCP", "probe-1")
    assert str(second.contact) == "<sip:us@127.0.0.1:5060;transport=tcp>"
    ladder.do("transport_failed", B._replace(transport="tcp"))
    ladder.receive(phone.reply(ladder.request(), 200), C)
    assert told == [(200, C)]
    ladder.settle()
    ladder.nothing_left()


# Size.


LONG = [("X-Long", "x" * 1300)]


def test_a_long_request_goes_by_tcp() -> None:
    ladder = streaming()
    ladder.invite(destination=A, headers=LONG)
    assert ladder.last_send().destination == A._replace(transport="tcp")
    assert ladder.request().via.transport == "TCP"
    ladder.advance(10)
    ladder.shows("<< INVITE")  # and is not repeated there


def test_a_long_request_goes_by_udp_where_tcp_is_refused() -> None:
    ladder, phone = streaming(), Phone()
    ladder.invite(destination=A, headers=LONG)
    over_tcp = ladder.request()
    ladder.do("transport_failed", A._replace(transport="tcp"))
    over_udp = ladder.request()
    assert ladder.last_send().destination == A
    assert (over_udp.via.transport, over_udp.via.branch) == ("UDP", over_tcp.via.branch)
    ladder.advance(0.5)
    ladder.receive(phone.reply(over_udp, 486), A)
    ladder.shows("""
        << INVITE
        << INVITE
        << INVITE
        >> 486 INVITE
        << ACK
        ** Ended rejected 486
    """)
    assert ladder.request().via.transport == "UDP"
    ladder.settle()
    ladder.nothing_left()


def test_the_limit_of_udp_is_exact_and_can_be_lifted() -> None:
    probe = Ladder()
    probe.invite(destination=A)
    size = len(probe.last_send().data)
    for limit, transport in ((size - 1, "tcp"), (size, "udp")):
        ladder = streaming(udp_limit=limit)
        ladder.invite(destination=A)
        assert ladder.last_send().destination.transport == transport
    ladder = streaming(udp_limit=65_535)
    ladder.invite(destination=A, headers=LONG)
    assert ladder.last_send().destination == A


def test_without_tcp_of_our_own_a_long_request_stays_on_udp() -> None:
    ladder = Ladder()
    ladder.invite(destination=A, headers=LONG)
    assert ladder.last_send().destination == A


def test_a_long_request_within_a_dialog_goes_by_tcp_as_well() -> None:
    ladder, phone = streaming(), Phone()
    leg = ladder.invite(destination=A)
    invite = ladder.request()
    ladder.receive(phone.reply(invite, 200, ANSWER, contact="<sip:bob@127.0.0.11>"), A)
    ladder.do("offer", leg, OFFER + b"a=x:" + b"y" * 1300 + b"\r\n")
    assert ladder.last_send().destination == A._replace(transport="tcp")
    ladder.do("transport_failed", A._replace(transport="tcp"))
    assert ladder.last_send().destination == A


def test_a_reliable_ringing_is_repeated_to_where_the_caller_listens_once_its_connection_is_gone() -> None:
    ladder = streaming(reliable_provisionals="supported")
    _, leg = offered(ladder, "Require: 100rel")
    ladder.do("ring", leg)
    closed(ladder)
    ladder.advance(0.5)
    assert ladder.response().status == 180
    assert ladder.last_send().destination == Address("127.0.0.1", 5090, "tcp")


def test_a_lost_tls_connection_is_opened_anew_to_who_proves_the_name_in_via() -> None:
    flow = Address("127.0.0.1", 40001, "tls", 1)
    for host, name in (("sbc.example.com", "sbc.example.com"), ("127.0.0.1", "")):
        ladder = streaming(flow)
        via = f"SIP/2.0/TLS {host}:5071;branch={{}};rport"
        contact = f"Contact: <sip:alice@{host}:5071;transport=tls>"
        _, leg = in_call(ladder, contact, via=via, flow=flow, contact=False)
        closed(ladder, flow)
        ladder.do("hang_up", leg)
        assert ladder.last_send().destination == Address("127.0.0.1", 5071, "tls", 0, name)


# Aliases, certificates, broken frames, listeners.


def test_an_alias_draws_later_calls_to_the_connection() -> None:
    ladder = streaming()
    ladder.receive(Phone().request("OPTIONS", via="SIP/2.0/TCP 127.0.0.1:5090;branch=z9hG4bKa;alias"), FLOW)
    home = Address("127.0.0.1", 5090, "tcp")
    ladder.invite(destination=home)
    assert ladder.last_send().destination == FLOW
    closed(ladder)
    ladder.invite(destination=home)
    assert ladder.last_send().destination == home


def test_a_tls_connection_without_certificate_draws_nothing_to_itself() -> None:
    home = Address("127.0.0.1", 5061, "tls", name="pbx.example")
    for identities, taken in (((), False), (("other.example",), False), (("PBX.example",), True)):
        flow = Address("127.0.0.1", 40001, "tls", 1)
        ladder = streaming(flow, identities)
        ladder.receive(Phone().request("OPTIONS", via="SIP/2.0/TLS 127.0.0.1;branch=z9hG4bKa;alias"), flow)
        ladder.invite(destination=home)
        assert ladder.last_send().destination == (flow if taken else home)


def test_a_message_that_breaks_the_frame_is_refused_as_far_as_it_reads() -> None:
    ladder = streaming()
    head = Phone().request("INVITE", OFFER).partition(b"\r\n\r\n")[0].replace(b"Content-Length", b"X-Length")
    ladder.do("receive_broken", head, FLOW, 400, "no_content_length")
    assert ladder.last_send().destination == FLOW
    ladder.do("receive_broken", head, FLOW, 513, "too_large")
    ladder.do("receive_broken", b"GET / HTTP/1.1\r\nHost: x\r\n", FLOW, 400, "no_content_length")
    ladder.do("receive_broken", head, FLOW._replace(host="198.51.100.1"), 400, "no_content_length")
    ladder.shows("""
        << 400 INVITE
        << 513 INVITE
        ** Dropped no_content_length
        ** Dropped no_content_length
    """)
    ladder.nothing_left()


def test_a_connection_with_a_call_is_in_use() -> None:
    ladder = streaming()
    assert not ladder.endpoint.flow_in_use(1)
    _, leg = in_call(ladder)
    assert ladder.endpoint.flow_in_use(1)
    assert not ladder.endpoint.flow_in_use(2)
    ladder.do("hang_up", leg)
    assert ladder.endpoint.flow_in_use(1)  # the BYE waits for its answer there
    ladder.settle()
    assert not ladder.endpoint.flow_in_use(1)


def test_each_udp_listener_speaks_for_itself() -> None:
    second = Address("127.0.0.1", 5070)
    ladder, phone = Ladder(listeners=(OURS, second)), Phone()
    source = phone.address._replace(flow=-1)
    ladder.receive(phone.request("INVITE", OFFER), source)
    leg = ladder.event(InviteReceived).leg
    ladder.do("accept", leg, ANSWER)
    assert ladder.last_send().destination == source
    contact = ladder.response().contact
    assert contact is not None
    assert contact.uri_text == "sip:100@127.0.0.1:5070"
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("ACK", cseq=1), source)
    ladder.do("hang_up", leg)
    assert ladder.last_send().destination == source
    assert ladder.request().via.sent_by == "127.0.0.1:5070"


def test_a_udp_phone_behind_a_nat_is_reached_where_its_packets_come_from() -> None:
    outside = Address("198.51.100.7", 61000)
    ladder, phone = Ladder(accept_source=("198.51.100.0/24",)), Phone()
    via = "SIP/2.0/UDP 192.168.1.5:5060;branch=z9hG4bKnat;rport"
    hidden = "Contact: <sip:alice@192.168.1.5:5060>"
    ladder.receive(phone.request("INVITE", OFFER, hidden, via=via, contact=False), outside)
    leg = ladder.event(InviteReceived).leg
    ladder.do("accept", leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("ACK", cseq=1), outside)
    ladder.do("hang_up", leg)
    assert ladder.last_send().destination == outside
    assert ladder.request().uri == "sip:alice@192.168.1.5:5060"


def test_ipv6_peers_get_the_ipv6_listener() -> None:
    six = Address("::1", 5060)
    ladder = Ladder(listeners=(OURS, six, Address("::1", 5061, "tls")))
    ladder.invite(destination=Address("::1", 5090))
    assert ladder.request().via.sent_by == "[::1]:5060"
    ladder.invite(destination=Address("::1", 5061, "tls"))
    contact = ladder.request().contact
    assert contact is not None
    assert contact.uri_text == "sip:voiceagent@[::1]:5061;transport=tls"
