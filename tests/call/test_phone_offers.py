"""The phone in code follows every offer and answer, also one that an empty re-INVITE asks for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.call.test_sip_leg import OFFER, Transport
from voiceagent.call.direct_audio import DirectMedia
from voiceagent.media.wheel import MediaWheel
from voiceagent.phone.phone import DirectAudioFactory, PhoneCall
from voiceagent.sip import effects as sip

pytestmark = pytest.mark.loopback


async def test_a_re_invite_without_an_offer_is_settled_by_the_ack() -> None:
    wheel = MediaWheel(timer="none", clock=lambda: 0.0)
    media = DirectMedia(wheel, None, "127.0.0.1", "127.0.0.1")
    transport: Any = Transport()
    call = PhoneCall(transport, DirectAudioFactory(media, ("PCMU",)), None)
    call.placed("leg")
    call.begin()
    call.on_sip(sip.Answered("leg", OFFER.replace(b"8 0 101", b"0 101")))
    call.on_sip(sip.OfferReceived("leg", "INVITE", None))
    call.on_sip(sip.Confirmed("leg", OFFER.replace(b"40000", b"40040").replace(b"8 0 101", b"0 101")))
    port = call._audio.port
    assert port.path.remote == ("127.0.0.1", 40040)
    call.on_sip(sip.Confirmed("leg", OFFER.replace(b"8 0 101", b"18")))
    assert transport.log[-1][0] == "hang_up"
    port.close()
    wheel.close()
