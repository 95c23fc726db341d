"""The stream framer: whatever the slicing, the same messages."""

from __future__ import annotations

import random

import pytest

from tests.sip.ladder import OFFER, Phone
from voiceagent.sip.limits import Limits
from voiceagent.sip.net.framing import Broken, Frame, Ping, Pong, StreamFramer, Whole

INVITE = Phone().request("INVITE", OFFER)
BYE = Phone().request("BYE")


def fed(framer: StreamFramer, data: bytes, size: int) -> list[Frame]:
    frames: list[Frame] = []
    for start in range(0, len(data), size):
        frames += framer.feed(data[start : start + size])
    return frames


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 100_000])
def test_slices_of_any_size_give_the_same_messages(size: int) -> None:
    stream = INVITE + b"\r\n" + BYE + b"\r\n\r\n" + INVITE
    assert fed(StreamFramer(), stream, size) == [Whole(INVITE), Whole(BYE), Ping(), Whole(INVITE)]


def test_a_hundred_messages_in_one_piece() -> None:
    assert StreamFramer().feed((INVITE + BYE) * 50) == [Whole(INVITE), Whole(BYE)] * 50


def test_random_slices_of_a_long_conversation() -> None:
    dice = random.Random(7)
    stream = (INVITE + b"\r\n\r\n" + BYE) * 40
    framer, frames, at = StreamFramer(), list[Frame](), 0
    while at < len(stream):
        step = dice.choice((1, 2, 5, 50, 500, 5000))
        frames += framer.feed(stream[at : at + step])
        at += step
    assert frames == [Whole(INVITE), Ping(), Whole(BYE)] * 40
    assert not framer.within


def test_a_message_cut_off_at_any_byte_is_no_message() -> None:
    """A 1.5 KB INVITE whose connection breaks at every offset: nothing comes out, and it is seen as begun."""
    long = Phone().request("INVITE", OFFER + b"a=x:" + b"y" * (1500 - len(INVITE)) + b"\r\n")
    assert len(long) > 1500
    for cut in range(1, len(long)):
        framer = StreamFramer()
        assert framer.feed(long[:cut]) == []
        assert framer.within
        assert framer.feed(long[cut:]) == [Whole(long)]
        assert not framer.within


def test_a_pong_is_told_from_half_a_ping() -> None:
    framer = StreamFramer()
    assert framer.feed(b"\r\n") == []
    assert framer.feed(b"\r\n") == [Ping()]
    framer.expects_pong = True
    assert framer.feed(b"\r\n") == [Pong()]
    assert framer.expects_pong is False
    assert framer.feed(b"\r") == []
    assert framer.feed(b"\n" + BYE + b"\r\n") == [Whole(BYE)]
    assert framer.feed(b"\r\n") == [Ping()]


def with_length(*lines: str) -> bytes:
    head, _, body = INVITE.partition(b"\r\n\r\n")
    kept = [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length")]
    return b"\r\n".join([*kept, *[line.encode() for line in lines]]) + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ((), "no_content_length"),
        (("Content-Length: 5", "Content-Length: 5"), "many_content_length"),
        (("Content-Length: 5", "l: 5"), "many_content_length"),
        (("Content-Length: -1",), "content_length"),
        (("Content-Length: +1",), "content_length"),
        (("Content-Length: 1 2",), "content_length"),
        (("Content-Length:",), "content_length"),
        (("Content-Length: \u0661",), "content_length"),
        (("Content-Length: 99999999999",), "content_length"),
        (("Content-Length: 9999999999",), "too_large"),
    ],
)
@pytest.mark.parametrize("size", [1, 100_000])
def test_a_length_that_cannot_be_trusted_is_fatal(lines: tuple[str, ...], why: str, size: int) -> None:
    message = with_length(*lines)
    frames = fed(StreamFramer(), message + BYE, size)
    assert len(frames) == 1
    broken = frames[0]
    assert isinstance(broken, Broken)
    assert (broken.why, broken.status) == (why, 513 if why == "too_large" else 400)
    assert broken.head == message.partition(b"\r\n\r\n")[0] + b"\r\n"


@pytest.mark.parametrize("line", ["l:{}", "CONTENT-LENGTH : {}", "content-length:\r\n  {}", "L:\t{}\t"])
def test_every_spelling_of_the_length_is_read(line: str) -> None:
    message = with_length(line.format(len(OFFER)))
    assert fed(StreamFramer(), message + BYE, 11) == [Whole(message), Whole(BYE)]


def test_a_length_inside_another_value_is_not_one() -> None:
    message = with_length("Subject: x\r\n Content-Length: 3", f"Content-Length: {len(OFFER)}")
    assert StreamFramer().feed(message) == [Whole(message)]


@pytest.mark.parametrize("junk", [b"\x16\x03\x01\x02\x00", b"\x00", b"\n", b"\rX", b" SIP", b"<html>"])
def test_what_cannot_begin_a_message_is_not_waited_for(junk: bytes) -> None:
    framer = StreamFramer()
    assert framer.feed(junk) == [Broken("not_sip")]
    assert framer.feed(BYE) == []
    assert not framer.within


def test_the_size_limit_is_exact() -> None:
    for size, fits in ((len(INVITE) - 1, False), (len(INVITE), True), (len(INVITE) + 1, True)):
        frames = StreamFramer(Limits(stream_message=size)).feed(INVITE)
        if fits:
            assert frames == [Whole(INVITE)]
        else:
            assert [(f.why, f.status) for f in frames if isinstance(f, Broken)] == [("too_large", 513)]


def test_a_head_without_end_is_given_up_at_the_limit() -> None:
    limits = Limits(stream_message=5000)
    framer = StreamFramer(limits)
    assert fed(framer, b"INVITE sip:x SIP/2.0\r\nX: " + b"a" * 4900, 100) == []
    assert framer.feed(b"a" * 200) == [Broken("head_too_large", 513)]


def test_the_work_is_linear_in_the_bytes() -> None:
    """Fed byte by byte, the framer looks at each byte of a growing head a bounded number of times."""

    class Counting(bytearray):
        looked = 0

        def find(self, sub: bytes, start: int = 0, end: int | None = None) -> int:  # type: ignore[override]
            Counting.looked += len(self) - start
            return super().find(sub, start, len(self) if end is None else end)

    framer = StreamFramer()
    framer._buffer = Counting()  # pyright: ignore[reportPrivateUsage]
    head = b"INVITE sip:x SIP/2.0\r\nX: " + b"a" * 50_000
    for position in range(len(head)):
        framer._buffer.extend(head[position : position + 1])  # pyright: ignore[reportPrivateUsage]
        framer.feed(b"")
    assert Counting.looked < 10 * len(head)
