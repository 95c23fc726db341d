"""RTP headers against the RFC and against another implementation."""

import pytest
from aiortc.rtp import RtpPacket
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceagent.media import rtp


def test_fast_and_general_road_agree():
    plain = rtp.RtpPacket(0, True, 65535, 2**32 - 1, 0xDEADBEEF, b"x" * 160)
    assert rtp.parse(rtp.build(plain)) == plain


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80" * 11,
        b"\x40" + bytes(20),  # version 1
        b"\x00" + bytes(20),  # STUN begins so
        b"\x82" + bytes(11),  # two CSRCs that are not there
        b"\x90" + bytes(11),  # extension that is not there
        b"\x90" + bytes(11) + b"\x00\x00\x00\x05" + bytes(8),
        b"\xa0" + bytes(11),  # padding 0, and none of it there
        b"\xa0" + bytes(11) + b"\x02",  # padding longer than the payload
    ],
)
def test_broken_packets_are_named(data: bytes):
    with pytest.raises(rtp.RtpFormatError):
        rtp.parse(data)


def test_padding_is_taken_off():
    data = b"\xa0\x08" + bytes(10) + b"abc" + b"\x00\x00\x03"
    assert rtp.parse(data).payload == b"abc"


def test_only_padding_leaves_nothing():
    assert rtp.parse(b"\xa0\x08" + bytes(10) + b"\x00\x02").payload == b""


packets = st.builds(
    rtp.RtpPacket,
    payload_type=st.integers(0, 127),
    marker=st.booleans(),
    sequence=st.integers(0, 65535),
    timestamp=st.integers(0, 2**32 - 1),
    ssrc=st.integers(0, 2**32 - 1),
    payload=st.binary(max_size=500),
    csrcs=st.lists(st.integers(0, 2**32 - 1), max_size=15).map(tuple),
    extension=st.none(),
)


@settings(deadline=None)
@given(packets)
def test_same_bytes_and_fields_as_aiortc(packet: rtp.RtpPacket):
    theirs = RtpPacket(
        payload_type=packet.payload_type,
        marker=int(packet.marker),
        sequence_number=packet.sequence,
        timestamp=packet.timestamp,
        ssrc=packet.ssrc,
        payload=packet.payload,
    )
    theirs.csrc = list(packet.csrcs)
    data = theirs.serialize()
    assert rtp.build(packet) == data
    assert rtp.parse(data) == packet


@settings(deadline=None)
@given(packets, st.integers(1, 255))
def test_padding_as_aiortc(packet: rtp.RtpPacket, padding: int):
    data = bytearray(rtp.build(packet) + bytes(padding - 1) + bytes([padding]))
    data[0] |= 0x20
    assert rtp.parse(bytes(data)).payload == RtpPacket.parse(bytes(data)).payload == packet.payload


@settings(deadline=None)
@given(st.integers(0, 65535), st.binary(max_size=64).filter(lambda body: len(body) % 4 == 0))
def test_extension_goes_round(profile: int, body: bytes):
    packet = rtp.RtpPacket(8, False, 1, 2, 3, b"payload", (7,), (profile, body))
    assert rtp.parse(rtp.build(packet)) == packet


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_parse_or_are_refused(data: bytes):
    try:
        packet = rtp.parse(data)
    except rtp.RtpFormatError:
        return
    try:
        theirs = RtpPacket.parse(data)
    except ValueError:
        return  # it also reads the extension's contents, which we keep opaque
    assert (packet.sequence, packet.timestamp, packet.payload) == (
        theirs.sequence_number,
        theirs.timestamp,
        theirs.payload,
    )


@settings(deadline=None)
@given(st.integers(0, 65535), st.integers(-32768, 32767))
def test_sequence_distance_over_the_wrap(start: int, step: int):
    assert rtp.seq_delta((start + step) & 0xFFFF, start) == step


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(-(2**31), 2**31 - 1))
def test_timestamp_distance_over_the_wrap(start: int, step: int):
    assert rtp.ts_delta((start + step) & 0xFFFFFFFF, start) == step


def test_rtcp_is_told_apart_from_every_audio_type():
    assert rtp.is_rtcp(b"\x80\xc8\x00\x06")
    assert rtp.is_rtcp(b"\x81\xc9\x00\x07")
    assert rtp.is_rtcp(b"\x80\xcc\x00\x07")
    for payload_type in (0, 8, 13, 96, 101, 127):
        assert not rtp.is_rtcp(bytes([0x80, payload_type]))
        assert not rtp.is_rtcp(bytes([0x80, payload_type | 0x80]))


def test_writer_counts_over_the_wrap():
    writer = rtp.RtpWriter(8, ssrc=5, sequence=65535, timestamp=2**32 - 160)
    first = rtp.parse(bytes(writer.audio(b"a" * 160, True)))
    second = rtp.parse(bytes(writer.audio(b"b" * 160)))
    event = rtp.parse(bytes(writer.event(101, b"\x01\x0a\x00\xa0", 77, True)))
    writer.skip(3)
    last = rtp.parse(bytes(writer.audio(b"c" * 160)))
    assert [packet.sequence for packet in (first, second, event, last)] == [65535, 0, 1, 2]
    assert [packet.timestamp for packet in (first, second, event, last)] == [2**32 - 160, 0, 77, 160 * 5]
    assert [packet.marker for packet in (first, second, event, last)] == [True, False, True, False]
    assert [packet.payload_type for packet in (first, second, event, last)] == [8, 8, 101, 8]
    assert second.payload == b"b" * 160
