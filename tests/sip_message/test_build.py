"""Building responses and requests."""

from __future__ import annotations

import pytest

from tests.sip_message.wire import datagram
from voiceagent.sip.syntax.build import REASONS, ordered, reason_for, request, response_to
from voiceagent.sip.syntax.grammar import CSeq, NameAddr, SipUri, Via
from voiceagent.sip.syntax.headers import Headers
from voiceagent.sip.syntax.message import Request, Response
from voiceagent.sip.syntax.parser import parse_datagram


def incoming(method: str = "INVITE", **changes: str | None) -> Request:
    extra = (
        "Via: SIP/2.0/UDP proxy;branch=z9hG4bKp",
        "Record-Route: <sip:p1;lr>",
        "Record-Route: <sip:p2;lr>",
        "Timestamp: 54",
        "Subject: hi",
    )
    message = parse_datagram(datagram(method, headers=dict(changes), extra=extra))
    assert isinstance(message, Request)
    return message


def test_a_ringing_copies_what_it_must() -> None:
    response = response_to(incoming(), 180, to_tag="ours")
    assert list(response.headers.items()) == [
        ("Via", "SIP/2.0/UDP pc33.example.com:5060;branch=z9hG4bK776asdhds;rport"),
        ("Via", "SIP/2.0/UDP proxy;branch=z9hG4bKp"),
        ("Record-Route", "<sip:p1;lr>"),
        ("Record-Route", "<sip:p2;lr>"),
        ("From", '"Alice" <sip:alice@example.com>;tag=1928301774'),
        ("To", "Bob <sip:bob@biloxi.example.com>;tag=ours"),
        ("Call-ID", "a84b4c76e66710@pc33.example.com"),
        ("CSeq", "314159 INVITE"),
    ]
    assert response.to_bytes().startswith(b"SIP/2.0 180 Ringing\r\nVia: ")
    assert response.to_bytes().endswith(b"\r\nContent-Length: 0\r\n\r\n")


def test_trying_has_no_tag_and_keeps_the_timestamp() -> None:
    response = response_to(incoming(), 100, to_tag="ours")
    assert response.to.tag is None
    assert response.headers.get("Timestamp") == "54"
    assert "Record-Route" not in response.headers


@pytest.mark.parametrize(
    ("method", "status", "copied"),
    [
        ("INVITE", 200, True),
        ("INVITE", 486, False),
        ("OPTIONS", 200, False),
        ("BYE", 200, False),
        ("REFER", 202, True),
    ],
)
def test_record_route_where_a_dialog_forms(method: str, status: int, copied: bool) -> None:
    assert ("Record-Route" in response_to(incoming(method), status).headers) == copied


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("<sip:b@h>;tag=theirs", "<sip:b@h>;tag=theirs"),
        ("sip:b@h", "sip:b@h;tag=ours"),
        ("sip:b@h;TAG=x", "sip:b@h;TAG=x"),
        ("<sip:b@h;tag=in-uri>", "<sip:b@h;tag=in-uri>;tag=ours"),
        ('"x;tag=1" <sip:b@h>', '"x;tag=1" <sip:b@h>;tag=ours'),
    ],
)
def test_the_tag_is_added_once(to: str, expected: str) -> None:
    assert response_to(incoming(To=to), 200, to_tag="ours").headers.get("To") == expected


def test_reasons() -> None:
    assert response_to(incoming(), 486).reason == "Busy Here"
    assert response_to(incoming(), 486, "Later").reason == "Later"
    assert reason_for(499) == "Bad Request"
    assert reason_for(299) == "OK"
    assert {
        100,
        180,
        200,
        302,
        400,
        401,
        407,
        416,
        420,
        422,
        481,
        487,
        488,
        491,
        500,
        503,
        505,
        513,
        603,
    } <= set(REASONS)


def test_a_request_from_parts() -> None:
    built = request(
        "INVITE",
        "sip:bob@h",
        via=Via("UDP", "10.0.0.1", 5060).with_param("branch", "z9hG4bKx").with_param("rport"),
        from_=NameAddr.of(SipUri(user="me", host="h"), "Me").with_tag("f"),
        to="<sip:bob@h>",
        call_id="cid",
        cseq=1,
        route=["<sip:p;lr>"],
        contact="<sip:me@10.0.0.1>",
        extra=[("Allow", "INVITE, BYE")],
        content_type="application/sdp",
        body=b"v=0\r\n",
    )
    assert built.to_bytes() == (
        b"INVITE sip:bob@h SIP/2.0\r\n"
        b"Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKx;rport\r\n"
        b"Route: <sip:p;lr>\r\n"
        b"Max-Forwards: 70\r\n"
        b'From: "Me" <sip:me@h>;tag=f\r\n'
        b"To: <sip:bob@h>\r\n"
        b"Call-ID: cid\r\n"
        b"CSeq: 1 INVITE\r\n"
        b"Contact: <sip:me@10.0.0.1>\r\n"
        b"Allow: INVITE, BYE\r\n"
        b"Content-Type: application/sdp\r\n"
        b"Content-Length: 5\r\n\r\nv=0\r\n"
    )
    again = parse_datagram(built.to_bytes())
    assert isinstance(again, Request)
    assert again.cseq == CSeq(1, "INVITE")


def test_content_length_is_always_the_true_one() -> None:
    response = Response(200, "OK", Headers([("l", "99"), ("X-A", "1")]), b"abc")
    assert response.to_bytes() == b"SIP/2.0 200 OK\r\nX-A: 1\r\nContent-Length: 3\r\n\r\nabc"


@pytest.mark.parametrize(
    ("method", "uri", "reason"),
    [
        ("INVITE\r\nX: 1", "sip:h", "ok"),
        ("INVITE", "sip:h SIP/2.0\r\nX: 1", "ok"),
        ("INVITE", "sip:h", "a\nb"),
    ],
)
def test_nothing_can_add_a_line(method: str, uri: str, reason: str) -> None:
    with pytest.raises(ValueError, match="CR or LF"):
        (Response(200, reason) if reason != "ok" else Request(method, uri)).to_bytes()


def test_usual_order() -> None:
    headers = Headers(
        [("Content-Type", "x/y"), ("X-A", "1"), ("To", "t"), ("Via", "v"), ("X-B", "2"), ("From", "f")]
    )
    assert [name for name, _ in ordered(headers).items()] == [
        "Via",
        "From",
        "To",
        "X-A",
        "X-B",
        "Content-Type",
    ]
