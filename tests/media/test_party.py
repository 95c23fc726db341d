"""Two parties with real SDP between them: who sends what, and what law each side's line has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.media.test_port import Events
from voiceagent.errors import SipError
from voiceagent.media.codecs import available
from voiceagent.media.party import MediaPlace, RtpParty
from voiceagent.media.wheel import MediaWheel

pytestmark = pytest.mark.loopback
ALL = ("PCMU", "PCMA", "G722", "opus")


@contextmanager
def parties(*codecs: tuple[str, ...] | None, place: tuple[str, ...] = ALL) -> Iterator[list[RtpParty]]:
    now = 0.0
    wheel = MediaWheel(timer="none", clock=lambda: now)
    with ExitStack() as stack:
        stack.callback(wheel.close)
        media = MediaPlace(wheel, None, "127.0.0.1", "127.0.0.1", codecs=place)
        found = [RtpParty(media, Events(), one) for one in codecs]
        for party in found:
            party.open()
            stack.callback(party.close)
        yield found


def agree(caller: RtpParty, callee: RtpParty) -> None:
    caller.answered(callee.answer(caller.offer()))


@pytest.mark.skipif(available() != ALL, reason="PyAV is not installed")
@pytest.mark.parametrize(
    ("offered", "codec", "law"),
    [
        (("PCMU", "PCMA"), "PCMU", "audio/pcmu"),
        (("PCMA", "PCMU"), "PCMA", "audio/pcma"),
        (("opus", "G722", "PCMA"), "PCMA", "audio/pcma"),
        (("opus", "G722"), "opus", "audio/pcmu"),
        (("G722",), "G722", "audio/pcmu"),
    ],
)
def test_g711_is_taken_where_it_is_offered_and_a_wide_codec_has_a_line_too(
    offered: tuple[str, ...], codec: str, law: str
) -> None:
    with parties(offered, None) as (caller, callee):
        agree(caller, callee)
        for party in (caller, callee):
            assert party.agreement is not None
            assert party.agreement.codec == codec
        assert callee.audio_format == law


def test_the_line_keeps_its_law_over_every_re_offer() -> None:
    with parties(("PCMA",), ("PCMU",), None) as (alaw, ulaw, service):
        agree(alaw, service)
        assert service.audio_format == "audio/pcma"
        service.start()
        service.answer(ulaw.offer())
        assert service.audio_format == "audio/pcma"
        assert (service.port.path.codec, service.port.path.line) == ("PCMU", "alaw")
        # Our own offer names what is in use first, and everything else that we have.
        formats = service.offer().decode().split("RTP/AVP ")[1].split("\r\n")[0].split()
        assert formats[0] == "0"
        assert {"8", "9"} <= set(formats)


def test_who_offers_first_has_the_law_of_its_first_g711_whatever_is_answered() -> None:
    with parties(None, ("PCMA",)) as (service, phone):
        assert service.audio_format == "audio/pcmu"
        agree(service, phone)
        assert service.agreement is not None
        assert service.agreement.codec == "PCMA"
        assert service.audio_format == "audio/pcmu"
    with parties(("opus", "PCMA", "PCMU")) as (service,):
        assert service.audio_format == "audio/pcma"


def test_nothing_in_common_changes_nothing() -> None:
    with parties(("PCMU",), ("PCMA",), None) as (ulaw, alaw, service):
        agree(ulaw, service)
        before = service.agreement
        only_gsm = alaw.offer().replace(b"RTP/AVP 8 101", b"RTP/AVP 3 101")
        with pytest.raises(SipError) as caught:
            service.answer(only_gsm)
        assert caught.value.status == 488
        assert service.agreement is before
