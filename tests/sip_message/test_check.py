"""Which requests are refused before anyone looks at dialogs or configuration."""

from __future__ import annotations

import pytest

from tests.sip_message.wire import SDP, datagram
from voiceagent.sip.check import SINGLE_HEADERS, check_request, check_response
from voiceagent.sip.syntax.build import response_to
from voiceagent.sip.syntax.message import Request, Response
from voiceagent.sip.syntax.parser import parse_datagram

SDP_TYPE = {"Content-Type": "application/sdp"}


def read(
    method: str = "INVITE",
    headers: dict[str, str | None] | None = None,
    extra: tuple[str, ...] = (),
    body: bytes = b"",
    start: str | None = None,
) -> Request:
    message = parse_datagram(datagram(method, start=start, headers=headers, extra=extra, body=body))
    assert isinstance(message, Request), message
    return message


def status(request: Request) -> int | None:
    refusal = check_request(request)
    return None if refusal is None else refusal.status


def test_usual_requests_pass() -> None:
    assert status(read(headers=dict(SDP_TYPE), body=SDP)) is None
    assert status(read()) is None
    for method in ("ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "UPDATE", "NOTIFY", "MESSAGE", "FOO"):
        assert status(read(method)) is None, method
    assert status(read("REFER", extra=("Refer-To: <sip:x@y>",))) is None
    assert status(read("PRACK", extra=("RAck: 1 1 INVITE",))) is None
    assert status(read("REGISTER", headers={"Contact": "*"}, extra=("Expires: 0",))) is None


SAMPLE = {
    "Max-Forwards": "70",
    "Content-Type": "application/sdp",
    "Content-Disposition": "session",
    "Expires": "60",
    "Min-Expires": "60",
    "Session-Expires": "90",
    "Min-SE": "90",
    "Replaces": "a;to-tag=1;from-tag=2",
    "Refer-To": "<sip:a@b>",
    "Referred-By": "<sip:a@b>",
    "RAck": "1 1 INVITE",
    "Event": "refer",
    "Date": "x",
    "Timestamp": "1",
    "From": "<sip:a@b>;tag=1",
    "To": "<sip:a@b>",
    "Call-ID": "x",
    "CSeq": "314159 INVITE",
}


@pytest.mark.parametrize("name", [name for name in SINGLE_HEADERS if name != "Content-Length"])
def test_single_headers_may_not_come_twice(name: str) -> None:
    value = SAMPLE[name]
    assert status(read(headers={name: value}, extra=(f"{name}: {value}",))) == 400


@pytest.mark.parametrize(
    ("method", "headers", "extra"),
    [
        ("INVITE", {"From": "<nonsense>;tag=1"}, ()),
        ("INVITE", {"To": "<sip:a@h:0>"}, ()),
        ("INVITE", {"Contact": "<<<"}, ()),
        ("INVITE", {"Contact": "<sip:>"}, ()),
        ("INVITE", {"Max-Forwards": "256"}, ()),
        ("INVITE", {"Max-Forwards": "-1"}, ()),
        ("INVITE", {"Max-Forwards": "seventy"}, ()),
        ("INVITE", {"Content-Type": "application"}, ()),
        ("INVITE", {}, ("Via: broken",)),
        ("INVITE", {}, ("Record-Route: <sip:a",)),
        ("INVITE", {}, ("Replaces: a",)),
        ("INVITE", {}, ("Session-Expires: soon",)),
        ("INVITE", {"CSeq": "1 BYE"}, ()),
        ("INVITE", {"CSeq": "1 invite"}, ()),
        ("INVITE", {"Via": "SIP/2.0/UDP h;branch=z9hG4bK"}, ()),
        ("REFER", {}, ()),
        ("REFER", {}, ("Refer-To: <>",)),
        ("PRACK", {}, ()),
        ("PRACK", {}, ("RAck: 1",)),
    ],
)
def test_malformed(method: str, headers: dict[str, str | None], extra: tuple[str, ...]) -> None:
    assert status(read(method, headers, extra)) == 400


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sip:bob@h", None),
        ("sips:bob@h", None),
        ("tel:+123", None),
        ("<sip:bob@h>", 400),
        ("sip:bob@h?Route=x", 400),
        ("sip:2001:db8::1", 400),
        ("bob", 400),
        ("http://h/", 416),
        ("im:bob@h", 416),
    ],
)
def test_request_uri(uri: str, expected: int | None) -> None:
    assert status(read("OPTIONS", start=f"OPTIONS {uri} SIP/2.0")) == expected


def test_schemes_are_a_setting() -> None:
    request = read("OPTIONS", start="OPTIONS tel:+123 SIP/2.0")
    refusal = check_request(request, schemes=("sip",))
    assert refusal is not None
    assert refusal.status == 416


def test_require() -> None:
    refusal = check_request(read(extra=("Require: timer, foo", "Require: bar")), supported=("TIMER",))
    assert refusal is not None
    assert (refusal.status, refusal.reason) == (420, "Bad Extension")
    assert refusal.headers == (("Unsupported", "foo, bar"),)
    assert status(read("ACK", extra=("Require: foo",))) is None
    assert status(read("CANCEL", extra=("Require: foo",))) is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Content-Type": "application/sdp"}, None),
        ({"Content-Type": "Application/SDP; charset=x"}, None),
        ({"Content-Type": "multipart/mixed;boundary=x"}, None),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "text/plain", "Content-Disposition": "render; handling=optional"}, None),
        ({"Content-Type": None}, 400),
        ({"Content-Type": "application/sdp", "Content-Encoding": "gzip"}, 415),
        ({"Content-Type": "application/sdp", "Content-Encoding": "Identity"}, None),
    ],
)
def test_bodies_of_an_invite(headers: dict[str, str | None], expected: int | None) -> None:
    assert status(read(headers=headers, body=b"x")) == expected


def test_bodies_of_other_methods_are_their_own_matter() -> None:
    assert status(read("INFO", headers={"Content-Type": "application/dtmf-relay"}, body=b"Signal=1")) is None


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/sdp", None),
        ("text/plain, application/SDP;level=1", None),
        ("application/*", None),
        ("*/*;q=0.1", None),
        ("text/plain", 406),
        ("", 406),
    ],
)
def test_accept(accept: str, expected: int | None) -> None:
    assert status(read(extra=(f"Accept: {accept}",))) == expected
    assert status(read("OPTIONS", extra=(f"Accept: {accept}",))) is None


def test_responses() -> None:
    response = response_to(read(), 200)
    assert check_response(response) is None
    response.headers.add("Via", "SIP/2.0/UDP other;branch=z9hG4bK1")
    assert check_response(response) == "many_vias"
    doubled = response_to(read(), 200)
    doubled.headers.add("CSeq", "1 INVITE")
    assert check_response(doubled) == "many_cseq"
    broken = Response(200, "OK", response_to(read(), 200).headers.copy())
    broken.headers.set("Via", "broken")
    assert check_response(broken) == "bad_via"
