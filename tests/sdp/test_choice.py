"""Which codec, packet time, events and comfort noise an offer and its answer amount to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.sdp.samples import OURS, offer, sdp
from voiceagent.media.sdp import (
    AudioAgreement,
    CodecPreference,
    accept_answer,
    make_offer,
    negotiate,
    parse_sdp,
)

ALL = ("PCMU", "PCMA", "G722", "opus")
RICH = (
    "m=audio 5004 RTP/AVP 96 9 8 0 13 101 102",
    "a=rtpmap:96 opus/48000/2",
    "a=fmtp:96 useinbandfec=1;maxaveragebitrate=16000",
    "a=rtpmap:101 telephone-event/8000",
    "a=rtpmap:102 telephone-event/48000",
)


def taken(*lines: str, **changes: object) -> AudioAgreement:
    ours = replace(OURS, codecs=ALL, ptimes=(10, 20, 30, 40, 60), **changes)
    return negotiate(offer(*lines), ours).audio


@pytest.mark.parametrize(
    ("preference", "codecs", "codec"),
    [
        ("theirs", ALL, "opus"),
        ("theirs", ("PCMU", "G722"), "G722"),
        ("ours", ALL, "PCMU"),
        ("ours", ("G722", "opus", "PCMA"), "G722"),
        ("untouched", ALL, "PCMA"),
        ("untouched", ("opus", "G722"), "opus"),
    ],
)
def test_whose_order_counts(preference: CodecPreference, codecs: tuple[str, ...], codec: str) -> None:
    ours = replace(OURS, codecs=codecs, preference=preference)
    assert negotiate(offer(*RICH), ours).audio.codec == codec


def test_opus_brings_its_parameters_its_events_and_its_clock() -> None:
    ours = replace(OURS, codecs=ALL)
    result = negotiate(offer(*RICH), ours)
    audio = result.audio
    assert (audio.codec, audio.clock_rate, audio.payload_type) == ("opus", 48_000, 96)
    assert (audio.telephone_event_pt, audio.telephone_event_rate) == (102, 48_000)
    assert audio.fmtp == "useinbandfec=1;maxaveragebitrate=16000"
    assert audio.receive_types == ((96, "opus"),)
    section = result.answer.media[0]
    assert section.formats == ("96", "102")
    assert section.attribute("rtpmap") == "96 opus/48000/2"
    assert section.fmtp(96) == "maxplaybackrate=8000;sprop-maxcapturerate=8000;stereo=0;useinbandfec=1"


def test_beside_opus_events_of_8000_are_better_than_none() -> None:
    audio = taken(
        "m=audio 5004 RTP/AVP 96 101", "a=rtpmap:96 opus/48000/2", "a=rtpmap:101 telephone-event/8000"
    )
    assert (audio.telephone_event_pt, audio.telephone_event_rate) == (101, 8000)


def test_g722_is_8000_in_sdp_whatever_it_sounds_like() -> None:
    assert taken("m=audio 5004 RTP/AVP 9").clock_rate == 8000
    told = make_offer(replace(OURS, codecs=("G722",))).media[0]
    assert told.attribute("rtpmap") == "9 G722/8000"


@pytest.mark.parametrize(
    ("codec", "lines", "ptime"),
    [
        ("0", ("a=ptime:10",), 10),
        ("0", ("a=ptime:30",), 30),
        ("8", ("a=ptime:60",), 60),
        ("9", ("a=ptime:40",), 40),
        ("0", ("a=ptime:50",), 20),
        ("0", ("a=ptime:120",), 20),
        ("0", ("a=maxptime:10",), 10),
        ("0", ("a=maxptime:40",), 20),
        ("0", ("a=ptime:60", "a=maxptime:40"), 40),
        ("0", ("a=ptime:60", "a=maxptime:5"), 10),
        ("0", ("a=ptime:nonsense", "a=maxptime:0"), 20),
        ("96", ("a=rtpmap:96 opus/48000/2", "a=ptime:30"), 20),
        ("96", ("a=rtpmap:96 opus/48000/2", "a=ptime:60"), 60),
        ("96", ("a=rtpmap:96 opus/48000/2", "a=ptime:60", "a=maxptime:50"), 40),
    ],
)
def test_the_packet_time_that_is_asked_for_and_never_a_longer_one(
    codec: str, lines: tuple[str, ...], ptime: int
) -> None:
    assert taken(f"m=audio 5004 RTP/AVP {codec}", *lines).ptime == ptime
    offered = make_offer(replace(OURS, codecs=ALL))
    answer = parse_sdp(sdp(f"m=audio 5004 RTP/AVP {codec}", *lines))
    assert accept_answer(offered, answer, ptimes=(10, 20, 30, 40, 60)).ptime == ptime


def test_comfort_noise_is_named_only_where_we_want_it() -> None:
    described = ("m=audio 5004 RTP/AVP 0 13", "a=ptime:20")
    assert taken(*described).comfort_noise_pt is None
    wanted = replace(OURS, comfort_noise=True)
    result = negotiate(offer(*described), wanted)
    assert result.audio.comfort_noise_pt == 13
    assert result.answer.media[0].formats == ("0", "13")
    assert negotiate(offer("m=audio 5004 RTP/AVP 0"), wanted).answer.media[0].formats == ("0",)
    told = make_offer(wanted)
    assert told.media[0].formats == ("0", "8", "13", "101")
    assert accept_answer(told, parse_sdp(sdp("m=audio 5004 RTP/AVP 8 13"))).comfort_noise_pt == 13
    assert accept_answer(told, parse_sdp(sdp("m=audio 5004 RTP/AVP 13 8"))).codec == "PCMA"


def test_an_answer_of_several_codecs_lets_the_peer_use_each() -> None:
    told = make_offer(replace(OURS, codecs=ALL))
    answer = sdp(
        "m=audio 5004 RTP/AVP 8 111 9 101", "a=rtpmap:111 opus/48000/2", "a=rtpmap:101 telephone-event/8000"
    )
    audio = accept_answer(told, parse_sdp(answer))
    assert audio.codec == "PCMA"
    assert dict(audio.receive_types) == {8: "PCMA", 96: "opus", 9: "G722"}  # by our numbers
