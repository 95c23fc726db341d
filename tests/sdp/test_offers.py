"""Our offers, the answers to them, and re-offers within a dialog (RFC 3264 §5, §7, §8)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.sdp.samples import EVENT, OURS, offer, sdp
from voiceagent.media.sdp import (
    Abilities,
    Direction,
    SdpError,
    accept_answer,
    make_offer,
    negotiate,
    parse_sdp,
)


def test_an_offer() -> None:
    assert make_offer(OURS).to_bytes() == (
        b"v=0\r\no=- 42 7 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
        b"m=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
        b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    )


def test_every_clock_rate_has_its_events() -> None:
    section = make_offer(replace(OURS, codecs=("opus", "G722", "pcmu"), rtcp_mux=True)).media[0]
    told = {entry.payload_type: f"{entry.encoding}/{entry.clock_rate}" for entry in section.rtpmaps}
    assert told == {
        96: "opus/48000",
        9: "G722/8000",
        0: "PCMU/8000",
        101: "telephone-event/8000",
        102: "telephone-event/48000",
    }
    assert section.fmtp(96) == "maxplaybackrate=8000;sprop-maxcapturerate=8000;stereo=0;useinbandfec=1"
    assert section.rtcp_mux
    assert len(make_offer(replace(OURS, telephone_event=False)).media[0].formats) == 2


def test_both_ends_of_one_agreement() -> None:
    caller = Abilities("192.0.2.1", 40_000, codecs=("opus", "PCMA", "PCMU"), rtcp_mux=True)
    callee = Abilities("192.0.2.2", 50_000, rtcp_mux=True)
    our_offer = make_offer(caller)
    theirs = negotiate(parse_sdp(our_offer.to_bytes()), callee)
    ours = accept_answer(our_offer, parse_sdp(theirs.answer.to_bytes()))
    assert (ours.codec, ours.payload_type) == (theirs.audio.codec, theirs.audio.payload_type) == ("PCMA", 8)
    assert (ours.remote_address, ours.remote_port) == ("192.0.2.2", 50_000)
    assert (theirs.audio.remote_address, theirs.audio.remote_port) == ("192.0.2.1", 40_000)
    assert ours.telephone_event_pt == theirs.audio.telephone_event_pt == 101
    assert ours.rtcp_mux
    assert theirs.audio.rtcp_mux


@pytest.mark.parametrize("ours", list(Direction))
@pytest.mark.parametrize("theirs", list(Direction))
def test_directions_agree_from_both_ends(ours: Direction, theirs: Direction) -> None:
    our_offer = make_offer(replace(OURS, direction=ours))
    callee = negotiate(our_offer, Abilities("192.0.2.2", 50_000, direction=theirs))
    mine = accept_answer(our_offer, callee.answer)
    assert mine.sends == callee.audio.receives
    assert mine.receives == callee.audio.sends
    assert mine.sends == (ours.sends and theirs.receives)
    assert mine.receives == (ours.receives and theirs.sends)


def test_an_answer_may_use_other_numbers() -> None:
    our_offer = make_offer(replace(OURS, codecs=("opus",)))
    answer = parse_sdp(
        sdp(
            "m=audio 5004 RTP/AVP 111 126",
            "a=rtpmap:111 opus/48000/2",
            "a=rtpmap:126 telephone-event/48000",
        )
    )
    audio = accept_answer(our_offer, answer)
    assert (audio.payload_type, audio.receive_payload_type) == (111, 96)
    assert (audio.telephone_event_pt, audio.receive_telephone_event_pt) == (126, 101)


def test_an_answer_without_events_or_with_hold() -> None:
    plain = accept_answer(make_offer(OURS), parse_sdp(sdp("m=audio 5004 RTP/AVP 8")))
    assert (plain.codec, plain.telephone_event_pt, plain.receive_telephone_event_pt) == ("PCMA", None, None)
    events_first = accept_answer(make_offer(OURS), parse_sdp(sdp("m=audio 5004 RTP/AVP 101 0", EVENT)))
    assert events_first.codec == "PCMU"
    held = accept_answer(
        make_offer(OURS), parse_sdp(sdp("m=audio 5004 RTP/AVP 0", connection="IN IP4 0.0.0.0"))
    )
    assert not held.sends
    assert held.receives


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (sdp("m=audio 0 RTP/AVP 0"), "sdp_no_audio"),
        (sdp("m=video 5004 RTP/AVP 0"), "sdp_no_audio"),
        (b"v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nt=0 0\r\n", "sdp_no_audio"),
        (sdp("m=audio 5004 RTP/AVP 18"), "sdp_no_common_codec"),
        (sdp("m=audio 5004 RTP/AVP 101", EVENT), "sdp_no_common_codec"),
        (sdp("m=audio 5004 RTP/SAVP 0"), "sdp_protocol"),
        (sdp("m=audio 5004 RTP/AVP 0", connection=None), "sdp_unreachable"),
        (sdp("m=audio 5004 RTP/AVP 0", connection="IN IP4 239.1.1.1/1"), "sdp_unreachable"),
    ],
)
def test_answers_that_take_nothing(answer: bytes, code: str) -> None:
    with pytest.raises(SdpError) as caught:
        accept_answer(make_offer(OURS), parse_sdp(answer))
    assert (caught.value.status, caught.value.code) == (488, code)


def test_hold_and_resume_by_re_offer() -> None:
    first = make_offer(OURS)
    assert make_offer(OURS, first) == first
    held = make_offer(replace(OURS, direction=Direction.SENDONLY), first)
    resumed = make_offer(OURS, held)
    versions = [session.origin.version for session in (first, held, resumed) if session.origin]
    assert versions == ["7", "8", "9"]


def test_a_re_offer_after_an_answer_of_ours() -> None:
    described = offer(
        "m=video 6000 RTP/AVP 96",
        "a=rtpmap:96 H264/90000",
        "m=audio 5004 RTP/AVP 8 0 97",
        "a=rtpmap:97 telephone-event/8000",
    )
    answer = negotiate(described, OURS).answer
    again = make_offer(replace(OURS, direction=Direction.SENDONLY), answer)
    assert [(media.kind, media.port) for media in again.media] == [("video", 0), ("audio", 40_000)]
    assert again.media[1].formats == ("8", "0", "97")
    assert again.origin is not None
    assert again.origin.version == "8"
    # Numbers keep their meaning: 101 was something else before, so the events go elsewhere.
    odd = negotiate(offer("m=audio 5004 RTP/AVP 101", "a=rtpmap:101 PCMA/8000"), OURS).answer
    told = {e.payload_type: e.encoding for e in make_offer(OURS, odd).media[0].rtpmaps}
    assert told == {101: "PCMA", 0: "PCMU", 96: "telephone-event"}
