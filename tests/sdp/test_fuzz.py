"""Damaged session descriptions: only the typed error, and what reads also answers consistently."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from tests.sdp.samples import OURS, sdp
from voiceagent.media.sdp import SdpError, accept_answer, make_offer, negotiate, parse_sdp

SEEDS = [
    sdp("m=audio 5004 RTP/AVP 0 8 101", "a=rtpmap:101 telephone-event/8000", "a=ptime:20", "a=sendonly"),
    sdp(
        "m=audio 5004 RTP/SAVP 0", "m=video 5006 RTP/AVP 96", "a=rtpmap:96 H264/90000", "m=audio 1 RTP/AVP 8"
    ),
    sdp("m=audio 5004/2 RTP/AVPF 111", "a=rtpmap:111 opus/48000/2", connection="IN IP6 2001:db8::1"),
]
PIECES = [
    b"\r\n",
    b"\n",
    b"\x00",
    b"\xff",
    b"\xd9\xa3",
    b" ",
    b"=",
    b"/",
    b":",
    b"m=",
    b"a=",
    b"c=IN IP4 ",
    b"0.0.0.0",
]
PIECES += [
    b"m=audio 1 RTP/AVP 0\r\n",
    b"a=inactive\r\n",
    b"-1",
    b"99999999999",
    b"65536",
    b"t=0 0\r\n",
    b"o=",
    b"v=0",
]


def touch(data: bytes) -> str:
    try:
        session = parse_sdp(data)
    except SdpError as error:
        return str(error.status)
    assert parse_sdp(session.to_bytes()) == session
    our_offer = make_offer(OURS)
    try:
        accept_answer(our_offer, session)
    except SdpError as error:
        assert error.status == 488  # noqa: PT017
    try:
        result = negotiate(session, OURS)
    except SdpError as error:
        return str(error.status)
    assert len(result.answer.media) == len(session.media)
    assert sum(media.port != 0 for media in result.answer.media) == 1
    again = parse_sdp(result.answer.to_bytes())
    for mine, theirs in zip(again.media, session.media, strict=True):
        assert (mine.kind, mine.protocol) == (theirs.kind, theirs.protocol)
    assert result.audio.sends <= result.audio.remote_direction.receives
    assert negotiate(session, OURS, result.answer).answer == result.answer
    return "agreed"


@pytest.mark.parametrize("part", range(4))
def test_mutated(part: int) -> None:
    rng = random.Random(8866 + part)
    outcomes: Counter[str] = Counter()
    for number in range(500):
        out = bytearray(rng.choice(SEEDS))
        for _ in range(rng.randint(1, 5)):
            at = rng.randrange(len(out) + 1)
            span = min(len(out), at + rng.choice((0, 1, 5, 20)))
            out[at:span] = rng.choice((b"", *PIECES, bytes([rng.randrange(256)])))
        try:
            outcomes[touch(bytes(out))] += 1
        except Exception as error:
            raise AssertionError(f"part {part}, mutation {number}: {bytes(out)!r}") from error
    assert min(outcomes["agreed"], outcomes["400"], outcomes["488"]) > 10, outcomes


@seed(1)
@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_random(data: bytes) -> None:
    touch(data)
    touch(b"v=0\r\n" + data)


@seed(2)
@settings(max_examples=300, deadline=None)
@given(st.lists(st.text("amcotvrz=0123/: \x00é", max_size=20), max_size=8))
def test_random_lines(lines: list[str]) -> None:
    touch("\r\n".join(["v=0", *lines]).encode())
