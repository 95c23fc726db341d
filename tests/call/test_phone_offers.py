"""The phone in code follows every offer and answer, also one that an empty re-INVITE asks for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

import pytest

from tests.call.test_sip_leg import OFFER, Transport
from voiceagent.call.direct_audio import DirectMedia
from voiceagent.errors import SipError
from voiceagent.media.wheel import MediaWheel
from voiceagent.phone.phone import DirectAudioFactory, PhoneCall
from voiceagent.sip import effects as sip

pytestmark = pytest.mark.loopback
ANSWER = OFFER.replace(b"8 0 101", b"0 101")


@dataclass
class Answered:
    """A phone's call that is answered, and what it orders of its endpoint."""

    call: PhoneCall
    transport: Any

    @property
    def directions(self) -> list[str]:
        """What its offers say."""
        found = [one[2] for one in self.transport.log if one[0] == "offer"]
        return ["sendonly" if b"a=sendonly" in offer else "sendrecv" for offer in found]


@pytest.fixture
async def answered() -> AsyncIterator[Answered]:
    wheel = MediaWheel(timer="none", clock=lambda: 0.0)
    media = DirectMedia(wheel, None, "127.0.0.1", "127.0.0.1")
    transport = Transport()
    call = PhoneCall(cast("Any", transport), DirectAudioFactory(media, ("PCMU",)), None)
    call.placed("leg")
    call.begin()
    call.on_sip(sip.Answered("leg", ANSWER))
    yield Answered(call, transport)
    call._audio.port.close()
    wheel.close()


async def test_a_re_invite_without_an_offer_is_settled_by_the_ack(answered: Answered) -> None:
    call = answered.call
    call.on_sip(sip.OfferReceived("leg", "INVITE", None))
    call.on_sip(sip.Confirmed("leg", ANSWER.replace(b"40000", b"40040")))
    assert call._audio.port.path.remote == ("127.0.0.1", 40040)
    call.on_sip(sip.Confirmed("leg", ANSWER.replace(b"0 101", b"18")))
    assert answered.transport.log[-1][0] == "hang_up"


async def test_holds_are_offered_one_after_the_other_and_the_last_wish_counts(
    answered: Answered,
) -> None:
    call = answered.call
    call.hold(True)
    call.hold(False)
    call.hold(True)
    call.hold(False)
    assert answered.directions == ["sendonly"], "its answer is still on its way"
    call.on_sip(sip.AnswerReceived("leg", 200, ANSWER + b"a=recvonly\r\n"))
    assert answered.directions == ["sendonly", "sendrecv"]
    call.on_sip(sip.AnswerReceived("leg", 488, None))
    assert answered.directions == ["sendonly", "sendrecv"]
    call.hold(True)
    assert answered.directions == ["sendonly", "sendrecv", "sendonly"], "a refusal ends an exchange, too"


async def test_a_hold_waits_for_the_far_ends_own_offer(answered: Answered) -> None:
    offer, refused = answered.transport.offer, asyncio.Event()
    sent = asyncio.Event()

    def busy(*_: Any) -> None:
        refused.set()
        raise SipError("another offer is open", status=491, code="bad_state")

    def free(*args: Any) -> None:
        offer(*args)
        sent.set()

    answered.transport.offer = busy
    answered.call.hold(True)
    assert refused.is_set()
    answered.transport.offer = free
    await asyncio.wait_for(sent.wait(), 45)
    assert answered.directions == ["sendonly"]


async def test_after_the_end_nothing_is_offered(answered: Answered) -> None:
    call = answered.call
    call.hold(True)
    call.hold(False)
    call.on_sip(sip.Ended("leg", "peer", None, ""))
    call.on_sip(sip.AnswerReceived("leg", 487, None))
    assert answered.directions == ["sendonly"]
