"""Every limit at limit−1, limit and limit+1."""

from __future__ import annotations

import pytest

from tests.sip.ladder import PHONE, Ladder
from tests.sip_message.wire import datagram
from voiceagent.errors import SipError
from voiceagent.sip.effects import InviteReceived
from voiceagent.sip.limits import DEFAULT, Limits
from voiceagent.sip.net.framing import Broken, StreamFramer, Whole
from voiceagent.sip.syntax.grammar import NameAddr, SipUri, parse_int
from voiceagent.sip.syntax.message import Request
from voiceagent.sip.syntax.multipart import find_body, split_parts
from voiceagent.sip.syntax.parser import Malformed, parse_datagram
from voiceagent.sip.timers import TimerValues
from voiceagent.sip.transaction.reply import reply_head
from voiceagent.sip.transaction.wire import Wire

AROUND = (-1, 0, 1)


def outcome(data: bytes, limits: Limits = DEFAULT) -> tuple[str, int | None]:
    message = parse_datagram(data, limits)
    if isinstance(message, Malformed):
        return message.why, message.reply_status
    assert isinstance(message, Request)
    return "ok", None


def test_the_decided_values() -> None:
    assert Limits() == Limits(
        datagram=65_535,
        stream_message=131_072,
        header_line=8_192,
        headers=256,
        vias=70,
        list_values=70,
        params=32,
        uri=4_096,
        int_digits=10,
        answer_head=32_768,
        sent_datagram=65_507,
        multipart_depth=3,
        multipart_parts=8,
    )


@pytest.mark.parametrize("off", AROUND)
def test_datagram(off: int) -> None:
    head = len(datagram(body=b"", length=60_000))
    size = DEFAULT.datagram + off
    data = datagram(body=b"x" * (size - head), length=60_000)
    assert len(data) == size
    assert outcome(data) == (("too_large", 513) if off > 0 else ("ok", None))


@pytest.mark.parametrize("off", AROUND)
@pytest.mark.parametrize("char", ["x", "é", "\udcff"])
def test_header_line(off: int, char: str) -> None:
    width = len(char.encode("utf-8", "surrogateescape"))
    line = "Subject: "
    count, rest = divmod(DEFAULT.header_line + off - len(line), width)
    line += char * count + "x" * rest
    assert len(line.encode("utf-8", "surrogateescape")) == DEFAULT.header_line + off
    assert outcome(datagram(extra=(line,))) == (("header_too_long", 400) if off > 0 else ("ok", None))


@pytest.mark.parametrize("off", AROUND)
def test_folded_header_line(off: int) -> None:
    line = "Subject: " + "\r\n ".join(["x" * 99] * 81)
    line += "\r\n " + "x" * (DEFAULT.header_line + off - len(line.replace("\r\n", "")) - 1)
    assert len(line.replace("\r\n", "")) == DEFAULT.header_line + off
    assert outcome(datagram(extra=(line,))) == (("header_too_long", 400) if off > 0 else ("ok", None))


@pytest.mark.parametrize("off", AROUND)
def test_start_line(off: int) -> None:
    start = "INVITE sip:" + "b" * 200 + "@h;x="
    start += "y" * (DEFAULT.header_line + off - len(start) - len(" SIP/2.0")) + " SIP/2.0"
    assert len(start) == DEFAULT.header_line + off
    assert outcome(datagram(start=start)) == (("start_line_too_long", 414) if off > 0 else ("ok", None))


@pytest.mark.parametrize("off", AROUND)
def test_headers(off: int) -> None:
    already = datagram().count(b"\r\n") - 2
    extra = tuple(f"X-{i}: {i}" for i in range(DEFAULT.headers + off - already))
    data = datagram(extra=extra)
    assert data.count(b"\r\n") - 2 == DEFAULT.headers + off
    assert outcome(data) == (("too_many_headers", 400) if off > 0 else ("ok", None))


@pytest.mark.parametrize("off", AROUND)
@pytest.mark.parametrize("comma", [False, True])
def test_vias(off: int, comma: bool) -> None:
    more = [f"SIP/2.0/UDP h{i};branch=z9hG4bK{i}" for i in range(DEFAULT.vias + off - 1)]
    extra = ("Via: " + ", ".join(more),) if comma else tuple(f"v: {via}" for via in more)
    assert outcome(datagram(extra=extra)) == (("too_many_vias", 400) if off > 0 else ("ok", None))


@pytest.mark.parametrize("off", AROUND)
def test_integer_digits(off: int) -> None:
    text = "1" * (DEFAULT.int_digits + off)
    if off > 0:
        with pytest.raises(SipError):
            parse_int(text, "x")
    else:
        assert parse_int(text, "x") == int(text)


@pytest.mark.parametrize("off", AROUND)
@pytest.mark.parametrize("name", ["Contact", "Route", "Record-Route", "Require", "Supported"])
def test_list_values(name: str, off: int) -> None:
    count = DEFAULT.list_values + off
    item = "tag" if name in ("Require", "Supported") else "<sip:a@b>"
    lines = (f"{name}: " + ", ".join([item] * 40), f"{name}: " + ", ".join([item] * (count - 40)))
    message = parse_datagram(datagram(headers={"Contact": None}, extra=lines))
    assert isinstance(message, Request)
    attribute = "contacts" if name == "Contact" else name.lower().replace("-", "_")
    if off > 0:
        with pytest.raises(SipError):
            getattr(message, attribute)
    else:
        assert len(getattr(message, attribute)) == count


@pytest.mark.parametrize("off", AROUND)
@pytest.mark.parametrize(
    "text", ["<sip:a@b>{};q={}", '<sip:a@b>{};q="{}"', "<sip:a@b;x{};q={}>", "<sip:a@b?x=y{}&q={}>"]
)
def test_params(text: str, off: int) -> None:
    per_uri = "x" in text
    each = "&p=v" if "?" in text else ";p=v"
    value = text.format(each * (DEFAULT.params + off - 1 - per_uri), "1")
    assert value.count(each[0]) + value.count("?") == DEFAULT.params + off
    if off > 0:
        with pytest.raises(SipError):
            _ = NameAddr.parse(value).uri
    else:
        assert NameAddr.parse(value).uri.user == "a"


@pytest.mark.parametrize("off", AROUND)
def test_uri(off: int) -> None:
    text = "sip:" + "u" * (DEFAULT.uri + off - 6) + "@h"
    assert len(text) == DEFAULT.uri + off
    if off > 0:
        with pytest.raises(SipError):
            SipUri.parse(text)
    else:
        assert SipUri.parse(text).host == "h"


def multipart(depth: int) -> tuple[str, bytes]:
    kind, body = "application/sdp", b"v=0\r\n"
    for level in range(depth):
        mark = f"b{level}"
        body = f"--{mark}\r\nContent-Type: {kind}\r\n\r\n".encode() + body + f"\r\n--{mark}--\r\n".encode()
        kind = f"multipart/mixed;boundary={mark}"
    return kind, body


@pytest.mark.parametrize("off", AROUND)
def test_multipart_depth(off: int) -> None:
    kind, body = multipart(DEFAULT.multipart_depth + off)
    message = parse_datagram(datagram(headers={"Content-Type": kind}, body=body))
    assert isinstance(message, Request)
    assert find_body(message) == (None if off > 0 else b"v=0\r\n")


@pytest.mark.parametrize("off", AROUND)
def test_multipart_parts(off: int) -> None:
    count = DEFAULT.multipart_parts + off
    body = b"".join(b"--b\r\n\r\npart %d\r\n" % i for i in range(count)) + b"--b--\r\n"
    if off > 0:
        with pytest.raises(SipError) as caught:
            split_parts(body, "b")
        assert caught.value.status == 400
    else:
        assert [part.body for part in split_parts(body, "b")] == [b"part %d" % i for i in range(count)]


def test_own_limits_are_obeyed() -> None:
    assert outcome(datagram(), Limits(headers=3))[0] == "too_many_headers"
    assert outcome(datagram(), Limits(datagram=100))[0] in ("too_large", "no_end_of_headers", "missing_to")


@pytest.mark.parametrize("off", AROUND)
def test_stream_message(off: int) -> None:
    head = len(datagram(body=b"", length=100_000))
    data = datagram(body=b"x" * (DEFAULT.stream_message + off - head), length=-1)
    data += b"x" * (DEFAULT.stream_message + off - len(data))
    assert len(data) == DEFAULT.stream_message + off
    frames = StreamFramer().feed(data)
    if off > 0:
        assert [type(frame) for frame in frames] == [Broken]
        assert isinstance(frames[0], Broken)
        assert (frames[0].why, frames[0].status) == ("too_large", 513)
    else:
        assert frames == [Whole(data)]


@pytest.mark.parametrize("off", AROUND)
def test_answer_head(off: int) -> None:
    """An INVITE whose Via, Record-Route and core headers every answer would repeat."""
    line = "Record-Route: <sip:{}@p.example.com;lr>"
    ladder = Ladder(accept_source=lambda source: True)
    extra = [line.format("r" * 4_000)] * 7
    rest = DEFAULT.answer_head + off - head_size((*extra, line.format("")))
    data = datagram(extra=(*extra, line.format("r" * rest)))
    assert head_size((*extra, line.format("r" * rest))) == DEFAULT.answer_head + off
    ladder.receive(data)
    assert ladder.response().status == (513 if off > 0 else 100)
    assert len(ladder.events(InviteReceived)) == (off <= 0)


def head_size(extra: tuple[str, ...]) -> int:
    message = parse_datagram(datagram(extra=extra))
    assert isinstance(message, Request)
    return reply_head(message, PHONE).size


@pytest.mark.parametrize("off", AROUND)
def test_sent_datagram(off: int) -> None:
    """What UDP cannot carry is counted and not sent; a stream takes it."""
    wire = Wire(TimerValues())
    data = b"x" * (DEFAULT.sent_datagram + off)
    wire.send(data, PHONE)
    assert (len(wire.take()), wire.oversize) == ((0, 1) if off > 0 else (1, 0))
    wire.send(data, PHONE._replace(transport="tcp"))
    assert len(wire.take()) == 1


@pytest.mark.parametrize("value", ["0", "1", "60", "-1", "99999999999", "x", ""])
def test_max_breadth_binds_who_forks_and_we_do_not(value: str) -> None:
    """RFC 5393 §5.3.3: a user agent server does nothing about it, whatever stands there."""
    ladder = Ladder(accept_source=lambda source: True)
    ladder.receive(datagram("OPTIONS", extra=(f"Max-Breadth: {value}",)))
    assert ladder.response().status == 200


@pytest.mark.parametrize(("value", "status"), [("0", 200), ("254", 200), ("255", 200), ("256", 400)])
def test_max_forwards_is_an_octet(value: str, status: int) -> None:
    ladder = Ladder(accept_source=lambda source: True)
    ladder.receive(datagram("OPTIONS", headers={"Max-Forwards": value}))
    assert ladder.response().status == status


@pytest.mark.parametrize("off", AROUND)
def test_content_length_digits(off: int) -> None:
    """Counted before they become a number, also on a stream."""
    digits = "0".zfill(DEFAULT.int_digits + off)
    data = datagram(length=digits)
    assert outcome(data) == (("bad_content_length", 400) if off > 0 else ("ok", None))
    frames = StreamFramer().feed(data)
    assert [type(frame) for frame in frames] == [Broken if off > 0 else Whole]


@pytest.mark.parametrize(("number", "good"), [(2**31 - 1, True), (2**31, False), (2**32 - 1, False)])
def test_cseq_fits_31_bits(number: int, good: bool) -> None:
    """RFC 3261 §8.1.1.5: below 2^31."""
    data = datagram(headers={"CSeq": f"{number} INVITE"})
    assert (outcome(data)[0] == "ok") is good
