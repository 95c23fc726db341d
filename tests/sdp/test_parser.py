"""The tolerant reader: what it forgives, what it refuses, what it keeps."""

from __future__ import annotations

import pytest

from tests.kit.corpora import rfc4475
from tests.sdp.samples import sdp
from voiceagent.errors import SipError
from voiceagent.media.sdp import Direction, RtpMap, SdpError, SdpLimits, parse_sdp
from voiceagent.sip.syntax.message import Request, Response
from voiceagent.sip.syntax.parser import parse_datagram

FULL = (
    b"v=0\r\n"
    b"o=jdoe 3724394400 3724394405 IN IP4 198.51.100.1\r\n"
    b"s=Call to John Smith\r\n"
    b"i=SDP Offer #1\r\n"
    b"u=http://www.jdoe.example.com/home.html\r\n"
    b"e=Jane Doe <jane@jdoe.example.com>\r\n"
    b"p=+1 617 555-6011\r\n"
    b"c=IN IP4 198.51.100.1\r\n"
    b"b=AS:128\r\n"
    b"t=0 0\r\n"
    b"r=7d 1h 0 25h\r\n"
    b"a=tool:x\r\n"
    b"m=audio 49170 RTP/AVP 0 96\r\n"
    b"i=sound\r\n"
    b"c=IN IP6 2001:db8::2\r\n"
    b"b=TIAS:64000\r\n"
    b"a=rtpmap:96 opus/48000/2\r\n"
    b"a=fmtp:96 useinbandfec=1; stereo=0\r\n"
    b"a=sendonly\r\n"
    b"m=video 51372/2 RTP/AVP 99\r\n"
    b"a=rtpmap:99 h263-1998/90000\r\n"
)


def test_everything_is_read_and_written_back() -> None:
    session = parse_sdp(FULL)
    assert session.to_bytes() == FULL
    assert session.origin is not None
    assert (session.origin.session_id, session.origin.version) == ("3724394400", "3724394405")
    assert session.name == "Call to John Smith"
    audio, video = session.media
    assert (audio.kind, audio.port, audio.protocol, audio.formats) == ("audio", 49170, "RTP/AVP", ("0", "96"))
    assert audio.rtpmaps == [RtpMap(0, "PCMU", 8000), RtpMap(96, "opus", 48000, 2)]
    assert audio.fmtp(96) == "useinbandfec=1; stereo=0"
    assert audio.fmtp(0) is None
    assert session.direction_of(audio) is Direction.SENDONLY
    assert session.direction_of(video) is Direction.SENDRECV
    connection = session.connection_of(audio)
    assert connection is not None
    assert connection.address == "2001:db8::2"
    other = session.connection_of(video)
    assert other is not None
    assert other.address == "198.51.100.1"
    assert (video.port, video.port_count) == (51372, 2)


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r"])
def test_line_ends(end: bytes) -> None:
    assert parse_sdp(FULL.replace(b"\r\n", end)) == parse_sdp(FULL)
    assert parse_sdp(FULL + b"\r\n \r\n") == parse_sdp(FULL)
    assert parse_sdp(FULL[:-2]) == parse_sdp(FULL)


@pytest.mark.parametrize(
    "data",
    [
        b"v=0\r\nm=audio 1 RTP/AVP 0\r\n",
        b"v=0\r\no=a b 1 1 IN IP4 h.example\r\ns=\r\nt=0 0\r\nx=unknown\r\nm=audio 1 RTP/AVP 0\r\n",
        b"v=0 \r\no=- 18446744073709551615 0 IN IP6 ::1\r\ns= \r\nt=0 0\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\nt=0 0\r\na=\r\na=:\r\na=x:\r\nm=audio 1 RTP/AVP\r\n",
        b"v=0\r\nc=IN IP4 h.example.com\r\nc=IN IP4 224.2.1.1/127/3\r\nm=audio 1 udp xyz\r\n",
        b"v=0\r\ns=\xff\xfe\r\nm=audio 1 RTP/AVP 0 \xff \xd9\xa3\r\na=\xff\r\n",
    ],
)
def test_forgiven(data: bytes) -> None:
    session = parse_sdp(data)
    assert parse_sdp(session.to_bytes()) == session


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "sdp_version"),
        (b"\r\n", "sdp_version"),
        (b"v=1\r\n", "sdp_version"),
        (b"o=- 1 1 IN IP4 h\r\nv=0\r\n", "sdp_version"),
        (b"v=0\r\nv=0\r\n", "sdp_version"),
        (b"v=0\r\ntesting=123\r\n", "sdp_line"),
        (b"v=0\r\n\r\ns=-\r\n", "sdp_line"),
        (b"v=0\r\nm =audio 1 RTP/AVP 0\r\n", "sdp_line"),
        (b"v=0\r\nM=audio 1 RTP/AVP 0\r\n", "sdp_line"),
        (b"v=0\r\n=\r\n", "sdp_line"),
        (b"v=0\r\ns=\x00\r\n", "sdp_nul"),
        (b"v=0\r\no=- 1 1 IN IP4\r\n", "sdp_origin"),
        (b"v=0\r\no=- x 1 IN IP4 h\r\n", "sdp_origin"),
        (b"v=0\r\no=- 1 -1 IN IP4 h\r\n", "sdp_origin"),
        (b"v=0\r\no=- 1 111111111111111111111 IN IP4 h\r\n", "sdp_origin"),
        (b"v=0\r\no=- 1 1 ATM NSAP h\r\n", "sdp_origin"),
        (b"v=0\r\no=- 1 1 IN IP4 h\r\no=- 1 1 IN IP4 h\r\n", "sdp_origin"),
        (b"v=0\r\nc=IN IP4\r\n", "sdp_connection"),
        (b"v=0\r\nc=IN IP4 1.2.3.999\r\n", "sdp_connection"),
        (b"v=0\r\nc=IN IP4 1.2.3\r\n", "sdp_connection"),
        (b"v=0\r\nc=IN IP6 1::2::3\r\n", "sdp_connection"),
        (b"v=0\r\nc=IN IP6 fe80::1%eth0\r\nc=IN IP4 x y\r\n", None),
        (b"v=0\r\nc=TN RFC2543 +1201\r\n", "sdp_connection"),
        (b"v=0\r\nm=audio\r\n", "sdp_media"),
        (b"v=0\r\nm=audio RTP/AVP 0\r\n", "sdp_media"),
        (b"v=0\r\nm=audio 65536 RTP/AVP 0\r\n", "sdp_media"),
        (b"v=0\r\nm=audio -1 RTP/AVP 0\r\n", "sdp_media"),
        (b"v=0\r\nm=audio \xd9\xa3 RTP/AVP 0\r\n", "sdp_media"),
        (b"v=0\r\nm=audio 99999999999 RTP/AVP 0\r\n", "sdp_media"),
        (b"v=0\r\nm=audio 1/0 RTP/AVP 0\r\n", "sdp_media"),
        (b"v=0\r\nm=audio 1/x RTP/AVP 0\r\n", "sdp_media"),
    ],
)
def test_refused(data: bytes, code: str | None) -> None:
    if code is None:
        parse_sdp(data)
        return
    with pytest.raises(SdpError) as caught:
        parse_sdp(data)
    assert (caught.value.status, caught.value.code) == (400, code)
    assert isinstance(caught.value, SipError)


def test_odd_rtpmaps_are_passed_over() -> None:
    session = parse_sdp(
        sdp(
            "m=audio 5004 RTP/AVP 0 31 97 98 99 100 0 128 x 102",
            "a=rtpmap:31 LPC",
            "a=rtpmap:97 iLBC/",
            "a=rtpmap:98 /8000",
            "a=rtpmap:99 x/8000/0",
            "a=rtpmap:100  Speex/16000 ",
            "a=rtpmap:100 other/8000",
            "a=rtpmap:128 x/8000",
            "a=rtpmap",
            "a=rtpmap:102 big/99999999999",
        )
    )
    assert session.media[0].rtpmaps == [RtpMap(0, "PCMU", 8000), RtpMap(100, "Speex", 16000)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a=ptime:20", 20),
        ("a=ptime:20.0", 20),
        ("a=ptime: 30", 30),
        ("a=ptime:0", None),
        ("a=ptime:-20", None),
        ("a=ptime:x", None),
        ("a=ptime", None),
        ("a=ptime:99999", None),
        ("a=maxptime:40", None),
    ],
)
def test_ptime(line: str, expected: int | None) -> None:
    assert parse_sdp(sdp("m=audio 1 RTP/AVP 0", line)).media[0].ptime == expected


def test_rtcp_port() -> None:
    def port(*lines: str) -> int:
        return parse_sdp(sdp("m=audio 5004 RTP/AVP 0", *lines)).media[0].rtcp_port

    assert port() == 5005
    assert port("a=rtcp:6001 IN IP4 1.2.3.4") == 6001
    assert port("a=rtcp:x") == 5005
    assert port("a=rtcp-mux", "a=rtcp:6001") == 5004


LIMITS = SdpLimits()


@pytest.mark.parametrize("off", [-1, 0, 1])
def test_size(off: int) -> None:
    base = sdp("m=audio 1 RTP/AVP 0") + b"i="
    data = base + b"x" * (LIMITS.size + off - len(base))
    assert len(data) == 16_384 + off
    if off > 0:
        with pytest.raises(SdpError) as caught:
            parse_sdp(data)
        assert caught.value.status == 413
    else:
        parse_sdp(data)


@pytest.mark.parametrize("off", [-1, 0, 1])
@pytest.mark.parametrize("what", ["media", "formats", "attributes"])
def test_counts(what: str, off: int) -> None:
    if what == "media":
        count = 8 + off
        data = sdp(*["m=audio 1 RTP/AVP 0"] * count)
    elif what == "formats":
        count = 64 + off
        data = sdp("m=audio 1 RTP/AVP " + " ".join(str(i) for i in range(count)))
    else:
        count = 256 + off
        data = sdp("m=audio 1 RTP/AVP 0", *["a=x"] * (count - 100), session=("a=y",) * 100)
    if off > 0:
        with pytest.raises(SdpError) as caught:
            parse_sdp(data)
        assert (caught.value.status, caught.value.code) == (400, f"sdp_too_many_{what}")
    else:
        session = parse_sdp(data)
        found = {
            "media": len(session.media),
            "formats": len(session.media[0].formats),
            "attributes": len(session.attributes) + len(session.media[0].attributes),
        }
        assert found[what] == count


def test_nothing_written_can_add_a_line() -> None:
    from dataclasses import replace

    session = replace(parse_sdp(FULL), name="x\r\na=evil")
    with pytest.raises(ValueError, match="CR or LF"):
        session.to_bytes()


def test_every_session_description_of_the_torture_messages_reads() -> None:
    count = 0
    for name, data in rfc4475().items():
        message = parse_datagram(data)
        if (
            isinstance(message, Request | Response)
            and message.content_type == "application/sdp"
            and message.body
        ):
            session = parse_sdp(message.body)
            assert session.media[0].kind == "audio", name
            count += 1
    assert count >= 10
