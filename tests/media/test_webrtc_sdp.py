"""Offers of browsers: what is taken, what is left out, and what each refusal names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceagent.errors import RequestRefused
from voiceagent.media.webrtc_sdp import MAX_CHARS, read_offer, told_answer

TRANSPORT = """a=ice-ufrag:abcd
a=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa
a=ice-options:trickle
a=fingerprint:sha-256 00:11
a=setup:actpass
"""
AUDIO = f"""m=audio 9 UDP/TLS/RTP/SAVPF 111 8 0
c=IN IP4 0.0.0.0
a=candidate:1 1 udp 2122260223 192.168.1.7 50000 typ host
a=candidate:2 1 udp 2122260223 6f0d.local 50001 typ host
a=end-of-candidates
{TRANSPORT}a=mid:0
a=sendrecv
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
"""
DATA = f"""m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
{TRANSPORT}a=mid:1
a=sctp-port:5000
"""
HEAD = """v=0
o=- 1 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
"""
OFFER = HEAD + AUDIO + DATA


def test_no_address_of_an_offer_is_kept() -> None:
    offer = read_offer(OFFER.replace("\n", "\r\n"))
    assert "candidates" not in offer.text
    assert "a=candidate" not in offer.text
    assert "192.168.1.7" not in offer.text
    assert ".local" not in offer.text
    assert offer.text.endswith("a=sctp-port:5000\r\n")
    assert (offer.codec, offer.payload_type) == ("PCMU", 0)


@pytest.mark.parametrize(
    "end", ["\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\r\r\n"]
)
def test_no_candidate_hides_behind_a_line_that_only_the_parser_ends(end: str) -> None:
    hidden = f"a=x:1{end}a=candidate:1 1 udp 2130706431 10.1.2.3 22 typ host\n"
    offer = read_offer(OFFER.replace("a=rtcp-mux\n", f"a=rtcp-mux\n{hidden}"))
    assert "10.1.2.3" not in offer.text
    assert not [line for line in offer.text.splitlines() if line.startswith("a=candidate")]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a=mid:1", "a=mid:0"),
        ("a=mid:1", "a=mid:2"),
        ("a=mid:0", "a=mid:0\na=mid:1"),
        ("BUNDLE 0 1", "BUNDLE 0"),
        ("BUNDLE 0 1", "BUNDLE 0 1 2"),
        ("BUNDLE 0 1", "BUNDLE 0 0"),
        ("m=application 9 UDP", "%=application 9 UDP"),
    ],
)
def test_names_of_sections_that_would_leave_one_without_a_way_are_refused(old: str, new: str) -> None:
    with pytest.raises(RequestRefused, match=r"a=mid|a=group|data channel"):
        read_offer(OFFER.replace(old, new))


def test_an_offer_that_would_keep_the_parser_busy_is_refused() -> None:
    bomb = "".join(f"a=ssrc:{n} a:b\n" for n in range(600))
    with pytest.raises(RequestRefused, match="lines"):
        read_offer(OFFER.replace("a=rtcp-mux\n", f"a=rtcp-mux\n{bomb}"))


def test_pcma_is_taken_where_there_is_no_pcmu() -> None:
    only = OFFER.replace("111 8 0", "111 8").replace("a=rtpmap:0 PCMU/8000\n", "")
    assert (read_offer(only).codec, read_offer(only).payload_type) == ("PCMA", 8)
    moved = only.replace("111 8", "111 96").replace("rtpmap:8", "rtpmap:96")
    assert (read_offer(moved).codec, read_offer(moved).payload_type) == ("PCMA", 96)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("v=0", "hello", "first line"),
        ("m=audio", "m=video", "one audio section"),
        ("m=application", "m=video", "nothing but audio"),
        ("m=application", "m=audio", "one audio section"),
        ("m=audio 9 UDP/TLS/RTP/SAVPF 111 8 0", "m=audio 9", "cannot be read"),
        ("a=group:BUNDLE 0 1\n", "", "bundle"),
        ("a=ice-ufrag:abcd\n", "", "a=ice-ufrag in its audio"),
        ("a=fingerprint:sha-256 00:11\n", "", "a=fingerprint in its audio"),
        ("a=sendrecv", "a=recvonly", "send and receive"),
        ("a=rtcp-mux\n", "", "a=rtcp-mux"),
        ("111 8 0", "111", "neither PCMU nor PCMA"),
        ("a=rtpmap:0 PCMU/8000", "a=rtpmap:0 " + "x" * MAX_CHARS, "longer than"),
    ],
)
def test_a_refusal_says_what_is_wrong(old: str, new: str, words: str) -> None:
    with pytest.raises(RequestRefused, match=words) as refused:
        read_offer(OFFER.replace(old, new, 1) if "ice" not in old else OFFER.replace(old, new))
    assert (refused.value.field, refused.value.code) == ("sdp", "bad_sdp")


@given(st.lists(st.sampled_from([*OFFER.splitlines(), "m=", "a=rtpmap:", "m=audio a b c", "\x00"])))
def test_any_lines_are_taken_or_refused(lines: list[str]) -> None:
    try:
        offer = read_offer("\n".join(["v=0", *lines]))
    except RequestRefused:
        return
    assert "a=candidate" not in offer.text


def test_the_answer_tells_the_configured_address() -> None:
    answer = "v=0\r\na=candidate:x 1 udp 2130706431 10.0.0.5 40000 typ host\r\na=x:10.0.0.5\r\n"
    told = told_answer(answer, "10.0.0.5", "192.0.2.1")
    assert "udp 2130706431 192.0.2.1 40000 typ host\r\na=x:10.0.0.5" in told
    assert told_answer(answer, "10.0.0.5", "10.0.0.5") == answer
