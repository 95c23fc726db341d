"""SDP within multipart bodies."""

from __future__ import annotations

import pytest

from tests.sip_message.wire import SDP, datagram
from voiceagent.errors import SipError
from voiceagent.sip.syntax.message import Request
from voiceagent.sip.syntax.multipart import find_body
from voiceagent.sip.syntax.parser import parse_datagram


def message(kind: str | None, body: bytes) -> Request:
    read = parse_datagram(datagram(headers={"Content-Type": kind}, body=body))
    assert isinstance(read, Request)
    return read


def test_plain_and_absent() -> None:
    assert find_body(message("application/SDP ;charset=utf-8", SDP)) == SDP
    assert find_body(message("text/plain", b"hello")) is None
    assert find_body(message("application/sdp", b"")) is None
    assert find_body(message(None, b"x")) is None


def test_sdp_beside_something_else() -> None:
    body = (
        b"a preamble\r\n--unique-1\r\nContent-Type: application/ISUP;version=nxv3\r\n\r\n\x01\x00\r\n\xff\r\n"
        b"--unique-1  \r\nContent-Type : application/sdp\r\nContent-Disposition: session\r\n\r\n"
        + SDP
        + b"\r\n--unique-1--\r\nan epilogue"
    )
    assert find_body(message('multipart/mixed;boundary="unique-1"', body)) == SDP
    assert (
        find_body(message("multipart/mixed;boundary=unique-1", body), "application/isup")
        == b"\x01\x00\r\n\xff"
    )
    assert find_body(message("multipart/mixed;boundary=unique-1", body), "text/html") is None


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/mixed", b"--b\r\n\r\nx\r\n--b--"),
        ("multipart/mixed;boundary=c", b"--b\r\n\r\nx\r\n--b--"),
        ("multipart/mixed;boundary=b", b"--b\r\nContent-Type: application/sdp"),
        ("multipart/mixed;boundary=" + "b" * 71, b""),
    ],
)
def test_broken(kind: str, body: bytes) -> None:
    with pytest.raises(SipError) as caught:
        find_body(message(kind, body or b"x"))
    assert caught.value.status == 400


def test_a_nested_broken_boundary_is_an_error_not_a_crash() -> None:
    body = b'--b\r\nContent-Type: multipart/mixed;boundary="\r\n\r\nx\r\n--b--'
    with pytest.raises(SipError):
        find_body(message("multipart/mixed;boundary=b", body))
