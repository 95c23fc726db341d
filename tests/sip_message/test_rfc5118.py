"""The 12 messages of RFC 5118: IPv6 wherever an address may stand."""

from __future__ import annotations

import pytest

from tests.kit.corpora import rfc5118
from voiceagent.media.sdp import parse_sdp
from voiceagent.sip.check import check_request
from voiceagent.sip.syntax.message import Request
from voiceagent.sip.syntax.parser import parse_datagram

# name: (section, request-URI host, request-URI port, top Via host), or the refusal
GOOD = {
    "ipv6-good": ("4.1", "2001:db8::10", None, "2001:db8::9:1"),
    "port-ambiguous": ("4.3", "2001:db8::10:5070", None, "2001:db8::9:1"),
    "port-unambiguous": ("4.4", "2001:db8::10", 5070, "2001:db8::9:1"),
    "via-received-param-with-delim": ("4.5", "2001:db8::10", None, "2001:db8::9:1"),
    "via-received-param-no-delim": ("4.5", "2001:db8::10", None, "2001:db8::9:1"),
    "ipv6-in-sdp": ("4.6", "2001:db8::10", None, "2001:db8::20"),
    "mult-ip-in-header": ("4.7", "host.example.net", None, "2001:db8::9:1"),
    "mult-ip-in-sdp": ("4.8", "2001:db8::10", None, "2001:db8::9:1"),
    "ipv4-mapped-ipv6": ("4.9", "example.com", None, "::ffff:192.0.2.10"),
    "ipv6-correct-abnf-2-colons": ("4.10", "2001:db8::192.0.2.1", None, "lab1.east.example.com"),
    "ipv6-bug-abnf-3-colons": ("4.10", "2001:db8::192.0.2.1", None, "lab1.east.example.com"),
}


def read(name: str) -> Request:
    message = parse_datagram(rfc5118()[name])
    assert isinstance(message, Request)
    return message


def test_every_message_is_named() -> None:
    assert {*GOOD, "ipv6-bad"} == set(rfc5118())
    assert len(rfc5118()) == 12


@pytest.mark.parametrize("name", GOOD)
def test_good(name: str) -> None:
    _, host, port, via_host = GOOD[name]
    message = read(name)
    assert check_request(message) is None
    assert (message.request_uri.host, message.request_uri.port) == (host, port)
    assert message.via.host == via_host
    again = parse_datagram(message.to_bytes())
    assert isinstance(again, Request)
    assert again.request_uri == message.request_uri


def test_an_address_without_brackets_is_refused() -> None:
    refusal = check_request(read("ipv6-bad"))
    assert refusal is not None
    assert refusal.status == 400


def test_received_with_and_without_brackets() -> None:
    with_brackets = read("via-received-param-with-delim").via
    without = read("via-received-param-no-delim").via
    assert with_brackets.received == without.received == "2001:db8::9:255"


def test_mixed_vias() -> None:
    vias = read("mult-ip-in-header").vias
    assert [(via.host, via.port) for via in vias] == [
        ("2001:db8::9:1", 6050),
        ("192.0.2.1", None),
        ("2001:db8::9:255", None),
    ]
    assert vias[2].received == "192.0.2.200"


def test_session_descriptions() -> None:
    session = parse_sdp(read("ipv6-in-sdp").body)
    assert session.connection is not None
    assert session.connection.address == "2001:db8::20"
    mixed = parse_sdp(read("mult-ip-in-sdp").body)
    addresses = [mixed.connection_of(media) for media in mixed.media]
    assert [a.address for a in addresses if a] == ["192.0.2.1", "2001:db8::1"]
    mapped = parse_sdp(read("ipv4-mapped-ipv6").body)
    assert mapped.connection is not None
    assert mapped.connection.address == "::ffff:192.0.2.2"
    assert mapped.media[0].rtpmaps[0].encoding == "G726-32"
