"""Another reader of the same text: on valid descriptions aiortc and we must see the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from tests.sdp.samples import OURS, offer, sdp
from voiceagent.media.sdp import make_offer, negotiate, parse_sdp

oracle: Any = pytest.importorskip("aiortc.sdp")

numbers = st.integers(96, 127)
encodings = st.sampled_from(["PCMU/8000", "PCMA/8000", "opus/48000/2", "telephone-event/8000", "G722/8000"])


@st.composite
def descriptions(draw: st.DrawFn) -> bytes:
    """Valid descriptions of one or two audio sections."""
    sections: list[str] = []
    for _ in range(draw(st.integers(1, 2))):
        dynamic = draw(st.dictionaries(numbers, encodings, max_size=4))
        static = draw(st.lists(st.sampled_from([0, 8, 9]), unique=True, min_size=1))
        formats = " ".join(str(number) for number in [*static, *dynamic])
        sections.append(f"m=audio {draw(st.integers(1, 65_535))} RTP/AVP {formats}")
        if draw(st.booleans()):
            sections.append("c=" + draw(st.sampled_from(["IN IP4 10.1.2.3", "IN IP6 2001:db8::5"])))
        sections += [f"a=rtpmap:{number} {encoding}" for number, encoding in dynamic.items()]
        sections += [f"a=fmtp:{number} x=1" for number in dynamic]
        sections.append("a=" + draw(st.sampled_from(["sendrecv", "sendonly", "recvonly", "inactive"])))
        if draw(st.booleans()):
            sections.append("a=rtcp-mux")
    return sdp(*sections)


def compare(data: bytes) -> None:
    ours = parse_sdp(data)
    theirs = oracle.SessionDescription.parse(data.decode())
    assert len(ours.media) == len(theirs.media)
    for mine, other in zip(ours.media, theirs.media, strict=True):
        assert (mine.kind, mine.port, mine.protocol) == (other.kind, other.port, other.profile)
        assert [entry.payload_type for entry in mine.rtpmaps] == list(other.fmt)
        assert ours.direction_of(mine) == other.direction
        connection = ours.connection_of(mine)
        assert connection is not None
        assert connection.address == (other.host or theirs.host)
        assert mine.rtcp_mux == other.rtcp_mux
        seen = {codec.payloadType: codec for codec in other.rtp.codecs}
        for entry in mine.rtpmaps:
            codec = seen.get(entry.payload_type)
            if codec is None:
                # It lists static types by number only.
                assert entry.payload_type in (0, 8, 9)
                continue
            assert codec.mimeType.partition("/")[2].lower() == entry.encoding.lower()
            assert codec.clockRate == entry.clock_rate
            assert (codec.channels or 1) == entry.channels


@seed(1)
@settings(max_examples=100, deadline=None)
@given(descriptions())
def test_the_same_text_reads_the_same(data: bytes) -> None:
    compare(data)


def test_what_we_write_others_read() -> None:
    compare(make_offer(OURS).to_bytes())
    described = offer("m=video 6000 RTP/AVP 96", "a=rtpmap:96 H264/90000", "m=audio 5004 RTP/AVP 8 0")
    theirs = oracle.SessionDescription.parse(negotiate(described, OURS).answer.to_bytes().decode())
    assert [media.port for media in theirs.media] == [0, 40_000]
    assert [codec.mimeType for codec in theirs.media[1].rtp.codecs] == ["audio/PCMA"]
