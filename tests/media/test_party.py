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


PEER = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN {address}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 101\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na={direction}\r\n"
)


def peer(address: str = "IP4 127.0.0.1", port: int = 4000, direction: str = "sendrecv") -> bytes:
    return PEER.format(address=address, port=port, direction=direction).encode()


def test_a_re_invite_without_an_offer_leads_to_what_was_agreed_last_not_first() -> None:
    """The legs call ``start`` with every ACK that brings an answer."""
    with parties(None) as (service,):
        service.answer(peer())
        service.start()
        service.offer()
        service.answered(peer(port=4040, direction="sendonly"))
        service.start()
        path = service.port.path
        assert (path.remote, path.direction) == (("127.0.0.1", 4040), "recvonly")


@pytest.mark.parametrize("nowhere", ["IP4 0.0.0.0", "IP6 ::"])
def test_a_hold_by_address_moves_neither_the_lock_nor_anything_to_this_machine(nowhere: str) -> None:
    with parties(None, ("PCMU",)) as (service, phone):
        phone.answer(service.offer())
        service.answered(phone.offer())
        service.start()
        before = service.port.remote
        service.answer(peer(nowhere, direction="inactive"))
        assert service.held
        assert service.port.path.remote is None
        assert service.port.path.rtcp is None
        assert service.port.remote == before == phone.port.address
        service.answer(peer(port=phone.port.address[1]))
        assert service.port.remote == before


def test_a_call_that_begins_on_hold_by_address_sends_nowhere_until_it_is_told() -> None:
    with parties(None) as (service,):
        service.answer(peer("IP4 0.0.0.0"))
        service.start()
        assert service.port.remote is None
        service.answer(peer())
        assert service.port.remote == ("127.0.0.1", 4000)


def test_an_ipv6_address_is_known_by_any_spelling() -> None:
    """The system tells senders in the short form; the lock compares text."""
    with parties(None) as (service,):
        service.answer(peer("IP6 2001:0DB8:0:0::7"))
        assert service.agreement is not None
        assert service.agreement.remote_address == "2001:db8::7"


def test_keys_of_a_phone_without_telephone_events_are_found_in_its_sound() -> None:
    with parties(None) as (service,):
        service.answer(peer().replace(b" 0 101", b" 0"))
        service.start()
        assert service.port.path.inband_digits
        service.answer(peer())
        assert not service.port.path.inband_digits


def test_a_hold_that_is_asked_for_again_does_not_begin_the_music_anew() -> None:
    with parties(None) as (service,):
        service.answer(peer())
        service.start()
        service.hold(True)
        music = service.port._out.music
        assert music is not None
        service.hold(True)
        assert service.port._out.music is music
        service.hold(False)
        assert service.port._out.music is None
