"""One datagram in, one message or the reason why not out: the rules for UDP."""

from __future__ import annotations

import pytest

from tests.sip_message.wire import SDP, datagram, invite
from voiceagent.errors import SipError
from voiceagent.sip.syntax.build import response_to
from voiceagent.sip.syntax.message import Request, Response
from voiceagent.sip.syntax.parser import KeepAlive, Malformed, parse_datagram


def read(data: bytes) -> Request:
    message = parse_datagram(data)
    assert isinstance(message, Request), message
    return message


def refused(data: bytes) -> Malformed:
    message = parse_datagram(data)
    assert isinstance(message, Malformed), message
    return message


def test_an_invite() -> None:
    message = read(invite())
    assert (message.method, message.uri, message.version) == (
        "INVITE",
        "sip:bob@biloxi.example.com",
        "SIP/2.0",
    )
    assert message.request_uri.user == "bob"
    assert message.via.port == 5060
    assert message.from_.display == "Alice"
    assert message.to.uri.host == "biloxi.example.com"
    assert message.call_id == "a84b4c76e66710@pc33.example.com"
    assert message.cseq == (314159, "INVITE")
    assert message.contact is not None
    assert message.content_type == "application/sdp"
    assert message.max_forwards == 70
    assert message.body == SDP


def test_it_serialises_to_the_same_bytes() -> None:
    assert read(invite()).to_bytes() == invite()


def test_a_response() -> None:
    data = response_to(read(invite()), 200, to_tag="t").to_bytes()
    message = parse_datagram(data)
    assert isinstance(message, Response)
    assert (message.status, message.reason, message.is_success) == (200, "OK", True)
    assert message.to.tag == "t"
    assert message.to_bytes() == data


@pytest.mark.parametrize("data", [b"", b"\r\n", b"\r\n\r\n", b"\r\n\r\n\r\n", b"\x00", b"\x00" * 4])
def test_keep_alives(data: bytes) -> None:
    message = parse_datagram(data)
    assert message == KeepAlive(data)
    assert isinstance(message, KeepAlive)
    assert message.is_ping == (data == b"\r\n\r\n")


def test_empty_lines_before_the_start_line_are_skipped() -> None:
    assert read(b"\r\n\r\n" + invite()).method == "INVITE"


def test_without_content_length_the_body_is_the_rest() -> None:
    assert read(datagram(body=b"hello", length=None)).body == b"hello"


def test_excess_is_cut() -> None:
    assert read(datagram(body=b"hello", length=3)).body == b"hel"


@pytest.mark.parametrize(
    ("length", "why"),
    [
        (6, "short_body"),
        ("-1", "bad_content_length"),
        ("+5", "bad_content_length"),
        ("5 5", "bad_content_length"),
        ("0x5", "bad_content_length"),
        ("٥", "bad_content_length"),
        ("99999999999999999999", "bad_content_length"),
    ],
)
def test_wrong_content_length(length: int | str, why: str) -> None:
    message = refused(datagram(body=b"hello", length=length))
    assert (message.why, message.reply_status) == (why, 400)


@pytest.mark.parametrize("extra", ["Content-Length: 5", "l: 5", "CONTENT-LENGTH: 4"])
def test_two_content_lengths_even_when_equal(extra: str) -> None:
    assert refused(datagram(extra=(extra,), body=b"hello")).why == "many_content_length"


def test_folding_becomes_one_space() -> None:
    message = read(datagram(extra=("Subject: one", "  two", "\tthree", " ")))
    assert message.headers.get("Subject") == "one two three"
    assert b"Subject: one two three\r\n" in message.to_bytes()


def test_folding_cannot_hide_in_the_start_line() -> None:
    assert refused(datagram(start="INVITE sip:bob@h SIP/2.0\r\n x")).why in ("start_line", "not_sip")


def test_a_missing_empty_line_is_forgiven_where_the_datagram_ends() -> None:
    data = datagram("OPTIONS", length=0)
    assert read(data[:-2]).method == "OPTIONS"
    message = refused(data[:-4])
    assert (message.why, message.reply_status) == ("no_end_of_headers", 400)


def test_a_cut_datagram_with_a_body_is_refused() -> None:
    data = invite()
    head = data.index(b"\r\n\r\n")
    for end in range(head + 4, len(data) - 1, 17):
        assert refused(data[:end]).why == "short_body"


@pytest.mark.parametrize("line", ["Subject: a\nX-Evil: 1", "Subject: a\rX-Evil: 1", "Subject: a\r\r"])
def test_bare_cr_and_lf_are_refused_and_not_sent_back(line: str) -> None:
    message = refused(datagram(extra=(line,)))
    assert (message.why, message.reply_status) == ("bare_cr_or_lf", 400)
    assert message.partial is not None
    assert "X-Evil" not in message.partial.headers
    assert b"X-Evil" not in response_to(message.partial, 400).to_bytes()


def test_a_bare_lf_in_a_core_header_leaves_nothing_to_answer() -> None:
    message = refused(datagram(headers={"Via": "SIP/2.0/UDP h;branch=z9hG4bK1\nX: y"}))
    assert (message.why, message.reply_status) == ("bare_cr_or_lf", None)


@pytest.mark.parametrize(
    "start", ["OPTIONS sip:a\nX: b SIP/2.0", "OPTIONS\r sip:a SIP/2.0", "SIP/2.0 200 O\nK"]
)
def test_a_bare_lf_in_the_start_line_is_dropped(start: str) -> None:
    message = refused(datagram(start=start))
    assert (message.why, message.reply_status) == ("bare_cr_or_lf", None)


def test_a_message_with_bare_lf_only_is_no_message() -> None:
    assert refused(invite().replace(b"\r\n", b"\n")).reply_status is None


@pytest.mark.parametrize(
    "line", ["no colon here", ": no name", "X Y: z", "X\x00: z", "Xé: z", "X(1): z", '"X": z']
)
def test_lines_that_are_no_header_are_refused(line: str) -> None:
    message = refused(datagram(extra=(line,)))
    assert (message.why, message.reply_status) == ("bad_header_line", 400)


def test_white_space_before_the_colon() -> None:
    message = read(datagram(extra=("X-Trusted \t: yes", "SUBJECT:hi")))
    assert message.headers.get("x-trusted") == "yes"
    assert message.headers.get("Subject") == "hi"
    assert b"X-Trusted: yes\r\n" in message.to_bytes()


def test_bytes_that_are_no_utf8_survive() -> None:
    line = b"X-Name: \xff\xfe caf\xc3\xa9 \xe2\x80\xa8 \x85 \x00"
    data = datagram().replace(b"Max-Forwards: 70", b"Max-Forwards: 70\r\n" + line)
    assert line + b"\r\n" in read(data).to_bytes()


def test_unicode_spaces_and_controls_are_not_white_space() -> None:
    message = read(datagram(extra=("Subject: \u00a0x\u2003\x1c\u0085",)))
    assert message.headers.get("Subject") == "\u00a0x\u2003\x1c\u0085"


@pytest.mark.parametrize("version", ["SIP/7.0", "SIP/1.0", "sip/3.0", "SIP/2.1", "SIP/22.0"])
def test_other_versions_get_505(version: str) -> None:
    message = refused(datagram("OPTIONS", start=f"OPTIONS sip:h {version}"))
    assert (message.why, message.reply_status) == ("version", 505)
    assert message.partial is not None
    assert response_to(message.partial, 505).to_bytes().startswith(b"SIP/2.0 505 Version Not Supported\r\n")


def test_version_case_does_not_matter() -> None:
    assert read(datagram(start="INVITE sip:bob@h sip/2.0")).version == "SIP/2.0"


def test_unknown_methods_are_kept_and_case_matters() -> None:
    assert read(datagram("FOO.bar~1")).method == "FOO.bar~1"
    assert read(datagram("invite")).method == "invite"


@pytest.mark.parametrize(
    "start",
    [
        "INVITE  sip:b@h SIP/2.0",
        "INVITE sip:b@h  SIP/2.0",
        "INVITE sip:b@h SIP/2.0 ",
        "INVITE sip:b@h ;lr SIP/2.0",
        "INVITE\tsip:b@h\tSIP/2.0",
    ],
)
def test_a_start_line_with_wrong_spaces_gets_400(start: str) -> None:
    message = refused(datagram(start=start))
    assert (message.why, message.reply_status) == ("start_line", 400)


@pytest.mark.parametrize(
    "start",
    [
        "INVITE sip:b@h",
        "GET / HTTP/1.1",
        "INVITE sip:b@h HTTP/1.1",
        "IN(VITE sip:b@h SIP/2.0",
        "hello",
        "SIP/2.0",
        "SIP/2.0 99 No",
        "SIP/2.0 700 No",
        "SIP/2.0 2000 No",
        "SIP/2.0 20x No",
        "SIP/2.0 ٢٠٠ No",
        "SIP/3.0 200 OK",
    ],
)
def test_what_is_no_start_line_is_dropped(start: str) -> None:
    message = refused(datagram(start=start))
    assert message.reply_status is None
    assert message.partial is None


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("From", None, "missing_from"),
        ("To", None, "missing_to"),
        ("Call-ID", None, "missing_call_id"),
        ("CSeq", None, "missing_cseq"),
        ("Call-ID", "", "missing_call_id"),
        ("Call-ID", "a b", "bad_call_id"),
        ("CSeq", "x INVITE", "bad_cseq"),
        ("CSeq", "2147483648 INVITE", "bad_cseq"),
        ("From", "nonsense nonsense", "bad_from"),
        ("To", '"open <sip:a@b>', "bad_to"),
    ],
)
def test_a_broken_core_header_gets_400_when_there_is_a_via(name: str, value: str | None, why: str) -> None:
    message = refused(datagram(headers={name: value}))
    assert (message.why, message.reply_status) == (why, 400)
    assert message.partial is not None
    reply = response_to(message.partial, 400, to_tag="x").to_bytes()
    assert b"Via: SIP/2.0/UDP pc33.example.com" in reply


@pytest.mark.parametrize("via", [None, "", "nonsense", "SIP/2.0/UDP", "SIP/2.0/UDP bad host"])
def test_without_a_via_there_is_nobody_to_answer(via: str | None) -> None:
    message = refused(datagram(headers={"Via": via}))
    assert (message.reply_status, message.partial) == (None, None)


def test_an_ack_is_never_answered() -> None:
    assert refused(datagram("ACK", headers={"To": None})).reply_status is None
    assert refused(datagram("ACK", body=b"x", length=9)).reply_status is None


def test_a_broken_response_is_dropped() -> None:
    data = response_to(read(invite()), 200).to_bytes()
    assert refused(data.replace(b"CSeq: 314159 INVITE", b"CSeq: INVITE")).reply_status is None


def test_other_broken_headers_hurt_nobody() -> None:
    message = read(
        datagram(
            headers={"Contact": "<<<", "Max-Forwards": "many", "Content-Type": "nonsense"},
            extra=("Date: yesterday", "Expires: soon", "Refer-To: ???", "Session-Expires: x;refresher=me"),
        )
    )
    assert message.cseq.number == 314159
    for name in ("contact", "max_forwards", "content_type", "expires", "refer_to", "session_expires"):
        with pytest.raises(SipError) as caught:
            getattr(message, name)
        assert caught.value.status == 400


def test_lists() -> None:
    message = read(
        datagram(
            headers={"Require": "100rel, timer", "Supported": None},
            extra=(
                "k: replaces",
                "Supported: norefersub,",
                "Route: <sip:a;lr>, <sip:b;lr>",
                "Route: <sip:c>",
                "Record-Route: <sip:r1;lr>,<sip:r2;lr>",
            ),
        )
    )
    assert message.require == ["100rel", "timer"]
    assert message.supported == ["replaces", "norefersub"]
    assert [route.uri.host for route in message.route] == ["a", "b", "c"]
    assert [route.uri.host for route in message.record_route] == ["r1", "r2"]
