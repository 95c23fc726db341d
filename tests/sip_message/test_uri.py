"""URIs: RFC 3261 §19.1, with its own examples of what is equal and what is not."""

from __future__ import annotations

import pytest

from voiceagent.errors import SipError
from voiceagent.sip.syntax.grammar import Params, SipUri, host_text, parse_hostport


@pytest.mark.parametrize(
    ("text", "scheme", "user", "host", "port"),
    [
        ("sip:alice@atlanta.com", "sip", "alice", "atlanta.com", None),
        ("SIPS:alice:secret@atlanta.com:5061;transport=tcp", "sips", "alice", "atlanta.com", 5061),
        ("sip:+1-212-555-1212:1234@gateway.com;user=phone", "sip", "+1-212-555-1212", "gateway.com", None),
        ("sip:pbx1", "sip", "", "pbx1", None),
        ("sip:my_host-2", "sip", "", "my_host-2", None),
        ("sip:192.0.2.4:65535", "sip", "", "192.0.2.4", 65535),
        ("sip:a@[2001:db8::1]:5070;lr", "sip", "a", "2001:db8::1", 5070),
        ("sip:*72#@h", "sip", "*72#", "h", None),
        ("tel:+358-555-1234567;postd=pp22", "tel", "+358-555-1234567", "", None),
        ("urn:service:sos", "urn", "", "", None),
    ],
)
def test_parse(text: str, scheme: str, user: str, host: str, port: int | None) -> None:
    uri = SipUri.parse(text)
    assert (uri.scheme, uri.user, uri.host, uri.port) == (scheme, user, host, port)
    assert str(uri) == text
    assert SipUri.parse(str(uri.replace())) == uri


def test_parts() -> None:
    uri = SipUri.parse(
        "sip:al%20ice:p%40ss@h.example;Transport=TCP;lr;x=%3b?Subject=a%20b&Replaces=id%3Bto-tag%3D1"
    )
    assert (uri.user, uri.password, uri.transport) == ("al ice", "p@ss", "tcp")
    assert uri.params.get("X") == ";"
    assert "LR" in uri.params
    assert uri.params.get("lr") is None
    assert uri.headers.get("replaces") == "id;to-tag=1"
    assert uri.headers.get("subject") == "a b"
    built = SipUri.parse(str(uri.replace(port=5062)))
    assert (built.user, built.password, built.port, built.headers) == ("al ice", "p@ss", 5062, uri.headers)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip:",
        "sip",
        "alice@atlanta.com",
        "sip:@host",
        "sip:a b@host",
        "sip:a@ho st",
        "sip:a@b@c",
        "sip:a@",
        "sip:h:",
        "sip:h:0",
        "sip:h:65536",
        "sip:h:99999999999",
        "sip:h:٣",
        "sip:2001:db8::10",
        "sip:[2001:db8::10",
        "sip:[2001:db8::10]x",
        "sip:[::1%25eth0]",
        "sip:[g::1]",
        "sip:h;",
        "sip:h;=v",
        "sip:h;a=b=c",
        "sip:h?",
        "sip:h?a",
        "sip:%zz@h",
        "sip:a%4@h",
        "<sip:a@b>",
        "sip:a@b>",
        "tel:",
        "tel:abcxyz",
        "*",
        "1sip:a@b",
    ],
)
def test_malformed(text: str) -> None:
    with pytest.raises(SipError) as caught:
        SipUri.parse(text)
    assert caught.value.status == 400


EQUAL = [
    ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtlanTa.CoM;Transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
    ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
    (
        "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
        "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
    ),
    (
        "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
    ),
]
DIFFERENT = [
    ("SIP:ALICE@AtlanTa.CoM;Transport=udp", "sip:alice@AtlanTa.CoM;Transport=UDP"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
    ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
    ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
    ("sip:a@h", "sips:a@h"),
    ("sip:a@h", "sip:a:pw@h"),
    ("sip:a@h;maddr=1.2.3.4", "sip:a@h"),
]


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_equal(one: str, other: str) -> None:
    assert SipUri.parse(one) == SipUri.parse(other)
    assert hash(SipUri.parse(one)) == hash(SipUri.parse(other))


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different(one: str, other: str) -> None:
    assert SipUri.parse(one) != SipUri.parse(other)


def test_building_escapes_what_would_break_out() -> None:
    uri = SipUri(user="a@b>c d", host="h", params=Params([("p", "x;y"), ("lr", None)]))
    text = str(uri)
    assert text == "sip:a%40b%3Ec%20d@h;p=x%3By;lr"
    assert SipUri.parse(text).user == "a@b>c d"
    assert str(SipUri(host="2001:db8::1", port=5060)) == "sip:[2001:db8::1]:5060"
    assert str(SipUri(scheme="tel", user="+4930123")) == "tel:+4930123"


def test_undecodable_escape_survives() -> None:
    uri = SipUri.parse("sip:%ff%00@h")
    assert uri.user == "\udcff\x00"
    assert SipUri.parse(str(uri.replace())).user == uri.user


def test_three_colons_before_an_ipv4_tail_only() -> None:
    assert SipUri.parse("sip:[2001:db8:::192.0.2.1]").host == "2001:db8::192.0.2.1"
    with pytest.raises(SipError):
        SipUri.parse("sip:[2001:db8:::1]")


def test_hostport() -> None:
    assert parse_hostport("[::1]:5060") == ("::1", 5060)
    assert host_text("::1", 5060) == "[::1]:5060"
    assert host_text("h") == "h"
