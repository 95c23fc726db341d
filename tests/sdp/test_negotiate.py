"""Answering offers (RFC 3264 §6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.sdp.samples import EVENT, OURS, offer, sdp
from voiceagent.media.sdp import (
    Abilities,
    Direction,
    SdpError,
    SessionDescription,
    negotiate,
    parse_sdp,
)


def test_a_usual_offer() -> None:
    result = negotiate(offer(), OURS)
    assert result.answer.to_bytes() == (
        b"v=0\r\no=- 42 7 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
        b"m=audio 40000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
        b"a=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    )
    audio = result.audio
    assert (audio.remote_address, audio.remote_port, audio.remote_rtcp_port) == ("192.0.2.9", 5004, 5005)
    assert (audio.codec, audio.payload_type, audio.receive_payload_type) == ("PCMU", 0, 0)
    assert (audio.clock_rate, audio.channels, audio.ptime) == (8000, 1, 20)
    assert (audio.telephone_event_pt, audio.receive_telephone_event_pt) == (101, 101)
    assert (audio.local_direction, audio.remote_direction) == (Direction.SENDRECV, Direction.SENDRECV)
    assert audio.sends
    assert audio.receives
    assert (audio.rtcp_mux, audio.media_index) == (False, 0)


@pytest.mark.parametrize(
    ("media", "lines", "codec", "number"),
    [
        ("m=audio 5004 RTP/AVP 0 8", (), "PCMU", 0),
        ("m=audio 5004 RTP/AVP 8 0", (), "PCMA", 8),
        ("m=audio 5004 RTP/AVP 18 3 8", ("a=rtpmap:18 G729/8000",), "PCMA", 8),
        ("m=audio 5004 RTP/AVPF 0", (), "PCMU", 0),
        ("m=audio 5004 rtp/avp 0", (), "PCMU", 0),
        ("m=audio 5004 RTP/AVP 96", ("a=rtpmap:96 pcma/8000",), "PCMA", 96),
        ("m=audio 5004 RTP/AVP 96 0", ("a=rtpmap:96 PCMA/8000/1",), "PCMA", 96),
        ("m=audio 5004 RTP/AVP 96 0", ("a=rtpmap:96 PCMA/16000",), "PCMU", 0),
        ("m=audio 5004 RTP/AVP 96 0", ("a=rtpmap:96 PCMU/8000/2",), "PCMU", 0),
        ("m=audio 5004 RTP/AVP 31 0", ("a=rtpmap:31 LPC",), "PCMU", 0),
        ("m=audio 5004 RTP/AVP 0 8", ("a=rtpmap:0 nonsense/8000",), "PCMA", 8),
    ],
)
def test_the_first_codec_of_the_offer_that_we_have(
    media: str, lines: tuple[str, ...], codec: str, number: int
) -> None:
    result = negotiate(parse_sdp(sdp(media, *lines)), OURS)
    assert (result.audio.codec, result.audio.payload_type) == (codec, number)
    section = result.answer.media[0]
    assert section.formats == (str(number),)
    assert section.rtpmaps[0].encoding == codec
    assert section.protocol == media.split()[2].upper()


@pytest.mark.parametrize(
    ("formats", "lines", "codecs", "expected"),
    [
        ("0 101", ("a=rtpmap:101 telephone-event/8000",), ("PCMU",), 101),
        ("0 96", ("a=rtpmap:96 Telephone-Event/8000",), ("PCMU",), 96),
        ("0 101", ("a=rtpmap:101 telephone-event/48000",), ("PCMU",), None),
        (
            "0 101 102",
            ("a=rtpmap:102 telephone-event/8000", "a=rtpmap:101 telephone-event/48000"),
            ("PCMU",),
            102,
        ),
        ("0", (), ("PCMU",), None),
        ("9 101", ("a=rtpmap:101 telephone-event/8000",), ("G722",), 101),
        # Not by RFC 4733 §2.1, but by many phones: events of 8000 beside Opus.
        ("96 101", ("a=rtpmap:96 opus/48000/2", "a=rtpmap:101 telephone-event/8000"), ("opus",), 101),
        ("96 101", ("a=rtpmap:96 opus/48000/2", "a=rtpmap:101 telephone-event/16000"), ("opus",), None),
        (
            "96 101 110",
            (
                "a=rtpmap:96 OPUS/48000/2",
                "a=rtpmap:101 telephone-event/8000",
                "a=rtpmap:110 telephone-event/48000",
            ),
            ("opus",),
            110,
        ),
    ],
)
def test_telephone_event_has_the_clock_of_the_audio(
    formats: str, lines: tuple[str, ...], codecs: tuple[str, ...], expected: int | None
) -> None:
    result = negotiate(
        parse_sdp(sdp(f"m=audio 5004 RTP/AVP {formats}", *lines)), replace(OURS, codecs=codecs)
    )
    assert result.audio.telephone_event_pt == expected
    assert (str(expected) in result.answer.media[0].formats) == (expected is not None)


def test_telephone_event_can_be_off() -> None:
    assert negotiate(offer(), replace(OURS, telephone_event=False)).audio.telephone_event_pt is None


@pytest.mark.parametrize(
    ("offered", "wanted", "answered"),
    [
        ("sendrecv", "sendrecv", "sendrecv"),
        ("sendonly", "sendrecv", "recvonly"),
        ("recvonly", "sendrecv", "sendonly"),
        ("inactive", "sendrecv", "inactive"),
        ("sendrecv", "sendonly", "sendonly"),
        ("sendonly", "sendonly", "inactive"),
        ("recvonly", "sendonly", "sendonly"),
        ("sendrecv", "recvonly", "recvonly"),
        ("recvonly", "recvonly", "inactive"),
        ("sendrecv", "inactive", "inactive"),
        ("inactive", "inactive", "inactive"),
    ],
)
def test_directions(offered: str, wanted: str, answered: str) -> None:
    ours = replace(OURS, direction=Direction(wanted))
    at_media = negotiate(offer("m=audio 5004 RTP/AVP 0", f"a={offered}"), ours)
    at_session = negotiate(parse_sdp(sdp("m=audio 5004 RTP/AVP 0", session=(f"a={offered}",))), ours)
    for result in (at_media, at_session):
        assert result.answer.media[0].own_direction == answered
        assert result.audio.local_direction == answered
        assert result.audio.remote_direction == offered
        assert result.audio.sends == (answered in ("sendrecv", "sendonly"))
        assert result.audio.receives == (answered in ("sendrecv", "recvonly"))


def test_the_media_level_wins() -> None:
    described = parse_sdp(sdp("m=audio 5004 RTP/AVP 0", "a=recvonly", session=("a=inactive",)))
    assert negotiate(described, OURS).audio.local_direction is Direction.SENDONLY


@pytest.mark.parametrize(
    ("connection", "direction", "answered"),
    [
        ("IN IP4 0.0.0.0", "sendrecv", "recvonly"),
        ("IN IP4 0.0.0.0", "sendonly", "recvonly"),
        ("IN IP4 0.0.0.0", "recvonly", "inactive"),
        ("IN IP4 0.0.0.0", "inactive", "inactive"),
        ("IN IP6 ::", "sendrecv", "recvonly"),
    ],
)
def test_hold_by_address(connection: str, direction: str, answered: str) -> None:
    result = negotiate(offer("m=audio 5004 RTP/AVP 0", f"a={direction}", connection=connection), OURS)
    assert result.answer.media[0].own_direction == answered
    assert not result.audio.sends


def test_every_section_is_mirrored() -> None:
    described = offer(
        "m=video 6000 RTP/AVP 96 97",
        "a=rtpmap:96 H264/90000",
        "m=audio 0 RTP/AVP 0",
        "m=audio 5004 RTP/AVP 8",
        "m=audio 5008 RTP/AVP 0",
        "m=application 9 DTLS/SCTP webrtc-datachannel",
        "m=text 5010 RTP/AVP",
        "m=image 5012 udptl t38",
    )
    result = negotiate(described, OURS)
    told = [(m.kind, m.port, m.protocol, m.formats) for m in result.answer.media]
    assert told == [
        ("video", 0, "RTP/AVP", ("96",)),
        ("audio", 0, "RTP/AVP", ("0",)),
        ("audio", 40_000, "RTP/AVP", ("8",)),
        ("audio", 0, "RTP/AVP", ("0",)),
        ("application", 0, "DTLS/SCTP", ("webrtc-datachannel",)),
        ("text", 0, "RTP/AVP", ("0",)),
        ("image", 0, "UDPTL", ("t38",)),
    ]
    assert result.audio.media_index == 2
    assert result.audio.remote_port == 5004


def test_plain_audio_beside_srtp_is_taken() -> None:
    described = offer("m=audio 5006 RTP/SAVP 0", "a=crypto:1 x inline:y", "m=audio 5004 RTP/AVP 0")
    result = negotiate(described, OURS)
    assert [media.port for media in result.answer.media] == [0, 40_000]


@pytest.mark.parametrize(
    ("media", "connection", "code"),
    [
        ("m=audio 5004 RTP/AVP 18 3", "IN IP4 192.0.2.9", "sdp_no_common_codec"),
        ("m=audio 5004 RTP/AVP", "IN IP4 192.0.2.9", "sdp_no_common_codec"),
        ("m=audio 5004 RTP/AVP 101", "IN IP4 192.0.2.9", "sdp_no_common_codec"),
        ("m=audio 5004 RTP/SAVP 0", "IN IP4 192.0.2.9", "sdp_srtp_unsupported"),
        ("m=audio 5004 RTP/SAVPF 0", "IN IP4 192.0.2.9", "sdp_srtp_unsupported"),
        ("m=audio 5004 UDP/TLS/RTP/SAVPF 0", "IN IP4 192.0.2.9", "sdp_srtp_unsupported"),
        ("m=audio 5004 TCP/RTP/AVP 0", "IN IP4 192.0.2.9", "sdp_protocol"),
        ("m=audio 0 RTP/AVP 0", "IN IP4 192.0.2.9", "sdp_no_audio"),
        ("m=video 5004 RTP/AVP 0", "IN IP4 192.0.2.9", "sdp_no_audio"),
        ("m=audio 5004 RTP/AVP 0", None, "sdp_unreachable"),
        ("m=audio 5004 RTP/AVP 0", "IN IP4 phone.example.com", "sdp_unreachable"),
        ("m=audio 5004 RTP/AVP 0", "IN IP4 224.2.1.1/127", "sdp_unreachable"),
        ("m=audio 5004 RTP/AVP 0", "IN IP4 255.255.255.255", "sdp_unreachable"),
        ("m=audio 5004 RTP/AVP 0", "IN IP6 ff02::1", "sdp_unreachable"),
    ],
)
def test_nothing_in_common_is_488(media: str, connection: str | None, code: str) -> None:
    with pytest.raises(SdpError) as caught:
        negotiate(parse_sdp(sdp(media, EVENT, connection=connection)), OURS)
    assert (caught.value.status, caught.value.code) == (488, code)


def test_an_empty_offer_is_488() -> None:
    with pytest.raises(SdpError) as caught:
        negotiate(parse_sdp(b"v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nt=0 0\r\n"), OURS)
    assert caught.value.status == 488


def test_ipv6() -> None:
    ours = Abilities("2001:db8::1", 40_000)
    result = negotiate(offer(connection="IN IP6 2001:db8::9"), ours)
    assert result.audio.remote_address == "2001:db8::9"
    assert b"c=IN IP6 2001:db8::1\r\n" in result.answer.to_bytes()
    assert b"o=- 1 1 IN IP6 2001:db8::1\r\n" in result.answer.to_bytes()


@pytest.mark.parametrize(
    ("asked", "possible", "expected"),
    [(30, (20,), 20), (30, (20, 30), 30), (20, (20,), 20), (None, (20, 30), 20)],
)
def test_ptime(asked: int | None, possible: tuple[int, ...], expected: int) -> None:
    lines = () if asked is None else (f"a=ptime:{asked}",)
    result = negotiate(parse_sdp(sdp("m=audio 5004 RTP/AVP 0", *lines)), replace(OURS, ptimes=possible))
    assert result.audio.ptime == expected
    assert result.answer.media[0].ptime == 20


def test_rtcp_mux_only_when_both_want_it() -> None:
    described = offer("m=audio 5004 RTP/AVP 0", "a=rtcp-mux", "a=rtcp:5010")
    without = negotiate(described, OURS)
    assert (without.audio.rtcp_mux, without.audio.remote_rtcp_port) == (False, 5010)
    assert not without.answer.media[0].rtcp_mux
    with_it = negotiate(described, replace(OURS, rtcp_mux=True))
    assert (with_it.audio.rtcp_mux, with_it.audio.remote_rtcp_port) == (True, 5004)
    assert with_it.answer.media[0].rtcp_mux
    assert not negotiate(offer(), replace(OURS, rtcp_mux=True)).answer.media[0].rtcp_mux


def test_the_time_line_is_that_of_the_offer() -> None:
    assert negotiate(offer(time="3149328700 0"), OURS).answer.times == ("3149328700 0",)


def version(session: SessionDescription) -> str:
    assert session.origin is not None
    assert session.origin.session_id == "42"
    return session.origin.version


def test_the_version_changes_when_the_answer_does_and_only_then() -> None:
    first = negotiate(offer(), OURS).answer
    same = negotiate(offer(), OURS, first).answer
    assert same == first
    held = negotiate(offer("m=audio 5004 RTP/AVP 0 8 101", EVENT, "a=sendonly"), OURS, same).answer
    assert (version(first), version(held)) == ("7", "8")
    resumed = negotiate(offer(), OURS, held).answer
    assert version(resumed) == "9"
    refreshed = negotiate(offer(), replace(OURS, version=999, session_id=1), resumed).answer
    assert refreshed == resumed


def test_unknown_codecs_are_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="unknown codec"):
        negotiate(offer(), replace(OURS, codecs=("PCMX",)))
