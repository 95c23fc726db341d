"""Header values: addresses, Via, CSeq, Replaces, RAck, Session-Expires, Refer-To, parameters."""

from __future__ import annotations

import pytest

from voiceagent.errors import SipError
from voiceagent.sip.syntax.grammar import (
    CSeq,
    NameAddr,
    Params,
    RAck,
    ReferTo,
    Replaces,
    SessionExpires,
    SipUri,
    Via,
    parse_int,
    parse_params,
    quote,
    scan_quoted,
)


@pytest.mark.parametrize(
    ("text", "display", "uri", "params"),
    [
        ("sip:a@b;tag=1", "", "sip:a@b", {"tag": "1"}),
        ("<sip:a@b;lr>;tag=1", "", "sip:a@b;lr", {"tag": "1"}),
        ("Alice <sip:a@b>", "Alice", "sip:a@b", {}),
        ("caller<sip:a@b>", "caller", "sip:a@b", {}),
        ('"A. \\"B\\" <C>" <sip:a@b> ; x = "q;,=" ; y', 'A. "B" <C>', "sip:a@b", {"x": "q;,=", "y": None}),
        ('""<sip:a@b>', "", "sip:a@b", {}),
        ("Müller <sip:a@b>", "Müller", "sip:a@b", {}),
        ("+49 (30) 1234 <sip:a@b>", "+49 (30) 1234", "sip:a@b", {}),
        ("<tel:+1555;phone-context=x>;tag=z", "", "tel:+1555;phone-context=x", {"tag": "z"}),
        ("<sip:a@b?Replaces=1>", "", "sip:a@b?Replaces=1", {}),
        ("*", "", "*", {}),
    ],
)
def test_name_addr(text: str, display: str, uri: str, params: dict[str, str | None]) -> None:
    address = NameAddr.parse(text)
    assert (address.display, address.uri_text, dict(address.params)) == (display, uri, params)
    assert NameAddr.parse(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        '"Mr. J. User <sip:j.user@example.com>',
        "Bell, Alexander <sip:a@b>",
        "< sip:a@b >",
        "<sip:a@b",
        "<>",
        "<sip:a@b>x",
        "<sip:a@b>;",
        "<sip:a@b>;;tag=1",
        "<sip:a@b>;tag=1;",
        "<sip:a@b>;tag=a b",
        '<sip:a@b>;tag="x" y',
        '<sip:a@b>;tag="x',
        "sip:a@b?Route=x",
        "sip:a b@c",
        '"a" "b" <sip:a@b>',
        "a\x00b <sip:a@b>",
        "<sip:<a@b>",
    ],
)
def test_malformed_addresses(text: str) -> None:
    with pytest.raises(SipError) as caught:
        NameAddr.parse(text, "from")
    assert (caught.value.status, caught.value.code) == (400, "bad_from")


def test_name_addr_builds() -> None:
    address = NameAddr.of(SipUri(user="bob", host="h"), 'B "ob" \\').with_tag("t1")
    assert str(address) == '"B \\"ob\\" \\\\" <sip:bob@h>;tag=t1'
    assert NameAddr.parse(str(address)) == address
    assert address.with_tag("t2").tag == "t2"
    assert address.uri.user == "bob"


def test_via() -> None:
    via = Via.parse("SIP/2.0/udp [2001:db8::1]:5070 ;branch=z9hG4bKabc;rport;received=10.0.0.1")
    assert (via.transport, via.host, via.port, via.branch) == ("UDP", "2001:db8::1", 5070, "z9hG4bKabc")
    assert via.asks_rport
    assert via.rport is None
    assert via.received == "10.0.0.1"
    assert via.is_rfc3261
    assert via.sent_by == "[2001:db8::1]:5070"
    filled = via.with_param("rport", "1234")
    assert filled.rport == 1234
    assert Via.parse(str(filled)) == filled
    assert Via.parse("SIP / 2.0 / TCP  h : 5062 ; branch = x").port == 5062
    assert Via.parse("sip/2.0/ws 2a3b.invalid;branch=z9hG4bK1").transport == "WS"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SIP/2.0",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP ",
        "HTTP/1.1/TCP h",
        "SIP/2.0/UDP h;;",
        "SIP/2.0/UDP h:x",
        "SIP/2.0/U(P h",
        "SIP/2.0/UDP h h2",
        "SIP/2.0/UDP ;branch=1",
        "SIP//UDP h",
        "SIP/2.0/UDP [::1",
        "SIP/2.0/UDP h;branch=a b",
    ],
)
def test_malformed_vias(text: str) -> None:
    with pytest.raises(SipError) as caught:
        Via.parse(text)
    assert caught.value.code == "bad_via"


def test_cseq() -> None:
    assert CSeq.parse("1 INVITE") == (1, "INVITE")
    assert CSeq.parse("0009 \t INVITE") == (9, "INVITE")
    assert CSeq.parse("2147483647 BYE").number == 2**31 - 1
    assert str(CSeq(7, "ACK")) == "7 ACK"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "INVITE",
        "-1 INVITE",
        "1 IN VITE",
        "1 INV(TE",
        "2147483648 BYE",
        "12345678901 BYE",
        "١ BYE",
    ],
)
def test_malformed_cseq(text: str) -> None:
    with pytest.raises(SipError) as caught:
        CSeq.parse(text)
    assert caught.value.code == "bad_cseq"


def test_replaces() -> None:
    value = Replaces.parse("98732@sip.example.com ;from-tag=r33th4x0r;to-tag=ff87ff;early-only")
    assert value == Replaces("98732@sip.example.com", "ff87ff", "r33th4x0r", early_only=True)
    assert Replaces.parse(str(value)) == value
    for text in ("", "a", "a;to-tag=1", "a;from-tag=1", ";to-tag=1;from-tag=2", "a b;to-tag=1;from-tag=2"):
        with pytest.raises(SipError):
            Replaces.parse(text)


def test_refer_to() -> None:
    blind = ReferTo.parse("<sip:dave@denver.example.org;method=INVITE>")
    assert blind.replaces is None
    assert blind.method == "INVITE"
    attended = ReferTo.parse(
        "<sip:b@h?Replaces=12345%40192.168.118.3%3Bto-tag%3D12345%3Bfrom-tag%3D5FFE-3994>"
    )
    assert attended.replaces == Replaces("12345@192.168.118.3", "12345", "5FFE-3994")
    assert attended.address.uri.replace(headers=Params()).host == "h"
    with pytest.raises(SipError):
        ReferTo.parse("<sip:b@h?Replaces=broken>")


def test_rack() -> None:
    assert RAck.parse("776656 1 INVITE") == RAck(776656, 1, "INVITE")
    assert str(RAck(1, 2, "INVITE")) == "1 2 INVITE"
    for text in ("", "1 INVITE", "a 1 INVITE", "1 2 3 INVITE", "1 2 (x"):
        with pytest.raises(SipError):
            RAck.parse(text)


def test_session_expires() -> None:
    assert SessionExpires.parse("4000;refresher=UAC") == SessionExpires(
        4000, "uac", Params([("refresher", "UAC")])
    )
    assert SessionExpires.parse(" 90 ").refresher is None
    assert str(SessionExpires(1800, "uas")) == "1800;refresher=uas"
    for text in ("", "x", "90;refresher=me", "99999999999"):
        with pytest.raises(SipError):
            SessionExpires.parse(text)


def test_params() -> None:
    params = parse_params(';a=1;B;c="x y";d=[::1]:5', "x")
    assert params.get("A") == "1"
    assert "b" in params
    assert params.get("b") is None
    assert params.get("zzz") is None
    assert params.header_text() == ';a=1;B;c="x y";d=[::1]:5'
    assert params.with_("a", "2").get("a") == "2"
    assert [name for name, _ in params.with_("e").without("A", "c")] == ["B", "d", "e"]
    assert params == Params([("C", "x y"), ("a", "1"), ("b", None), ("d", "[::1]:5")])
    assert Params([("a", "")]).header_text() == ';a=""'
    assert parse_params(";;a=1;", "x", skip_empty=True).get("a") == "1"
    with pytest.raises(SipError):
        parse_params(";;a=1", "x")


def test_quoted_strings() -> None:
    assert scan_quoted('"a\\"b\\\\"rest', 0, "x") == ('a"b\\', 8)
    assert quote('a"b\\') == '"a\\"b\\\\"'
    for text in ('"abc', '"abc\\"', '"abc\\'):
        with pytest.raises(SipError):
            scan_quoted(text, 0, "x")


@pytest.mark.parametrize("text", ["", "-1", "+1", " 1", "1 ", "1.0", "0x1", "²", "٣", "1_0", "12345678901"])
def test_integers_are_plain_ascii_digits(text: str) -> None:
    with pytest.raises(SipError):
        parse_int(text, "x")


def test_integer_limits() -> None:
    assert parse_int("9999999999", "x") == 9_999_999_999
    assert parse_int("255", "x", maximum=255) == 255
    with pytest.raises(SipError):
        parse_int("256", "x", maximum=255)
