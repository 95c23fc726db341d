"""The hosted leg by itself: who calls whom, every ending told once, and playback facts in any order."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.hosted.kit import OFFER, HostedProvider
from tests.kit.virtual_loop import virtual
from voiceagent.call.hosted_leg import HostedLeg, hosted_info
from voiceagent.call.leg import Heard, Leg, LegEnd
from voiceagent.errors import ProviderError, SipError
from voiceagent.realtime.model_events import RealtimeModelPlaybackEvent, RealtimeModelResponseOutcomeEvent
from voiceagent.realtime.requests import Outcome, OutcomeKind
from voiceagent.realtime.webhook_event import CallOffer


class Listener:
    def __init__(self) -> None:
        self.log: list[str] = []

    def leg_audio(self, audio: bytes) -> None: ...

    def leg_digit(self, digit: str) -> None: ...

    def leg_playback_started(self, response_id: str, item_id: str) -> None:
        self.log.append(f"started {response_id}")

    def leg_playback_ended(self, heard: Heard) -> None:
        self.log.append(f"ended {heard.response_id} {heard.heard_ms} {'cut' if heard.cut else 'whole'}")

    def leg_held(self, held: bool) -> None: ...

    def leg_ended(self, end: LegEnd, status: int | None, reason: str) -> None:
        self.log.append(f"over {end.value}")


def a_leg(server: HostedProvider | None = None) -> tuple[HostedLeg, Listener, HostedProvider]:
    server = server or HostedProvider()
    leg = HostedLeg(OFFER, server.rest(), session={"type": "realtime"})
    listener = Listener()
    leg.listen(listener)
    return leg, listener, server


def test_it_is_a_leg_that_owns_no_playout() -> None:
    @virtual
    async def story() -> None:
        leg, _, _ = a_leg()
        as_port: Leg = leg
        assert not as_port.capabilities.owns_playout
        assert as_port.capabilities.can_transfer
        as_port.play(b"\xff" * 160, response_id="r", item_id="i")
        as_port.play_end(response_id="r")
        assert list(as_port.stop_playing()) == []
        assert as_port.figures().sent == 0

    story()


@pytest.mark.parametrize(
    ("to", "called"),
    [
        ("<sip:+442079460018@sip.example.com;user=phone>;tag=x", "+442079460018"),
        ("sip:100@y", "100"),
        ('"Desk, the" <sips:desk@y:5061>', "desk"),
        ("<tel:+1-415-555-0100>", "+1-415-555-0100"),
        ("<sip:%31%30%30@y>", "100"),
        ("<sip:sip.example.com>", "sip:sip.example.com"),
        ("garbage", ""),
        ("<sip:1@y", ""),
        ("", ""),
        ("<sip:a\r\nb@y>", ""),
    ],
)
def test_the_to_header_says_who_was_called(to: str, called: str) -> None:
    info = hosted_info(CallOffer("rtc_1", (("from", "<sip:bob@x>"), ("TO", to), ("To", "<sip:second@y>"))))
    assert (info.called, info.caller, info.kind) == (called, "bob", "hosted")
    assert info.protocol_call_id == "rtc_1"


def test_headers_stay_data() -> None:
    info = hosted_info(OFFER)
    assert (info.caller, info.caller_name, info.called) == ("alice", "Alice", "100")
    assert info.headers == OFFER.headers
    assert info.protocol_call_id == "c1@test"


@virtual
async def test_every_ending_is_told_once() -> None:
    leg, listener, server = a_leg()
    await leg.prepare()
    await leg.answer()
    leg.call_over("404")
    leg.call_over("404")
    await leg.hang_up()
    await leg.reject(503, "late")
    assert listener.log == ["over caller_hung_up"]
    assert [verb for verb, _ in server.verbs] == ["accept"]
    late = Listener()
    leg.listen(late)
    assert late.log == ["over caller_hung_up"]


@virtual
async def test_an_unanswered_call_is_rejected_and_an_accepted_one_hung_up() -> None:
    leg, listener, server = a_leg()
    await leg.reject(486, "Busy Here")
    assert server.verbs == [("reject", {"status_code": 486})]
    assert listener.log == ["over rejected"]
    leg, _, server = a_leg()
    await leg.prepare()
    await leg.reject(503, "Service Unavailable")
    assert [verb for verb, _ in server.verbs] == ["accept", "hangup"]


@virtual
async def test_a_call_given_up_while_its_accept_is_under_way_is_not_left_behind() -> None:
    leg, _, server = a_leg()
    server.latency_s = 0.5
    accepting = asyncio.ensure_future(leg.prepare())
    await asyncio.sleep(0.1)
    accepting.cancel()
    await asyncio.wait({accepting})
    server.answers["reject"] = [httpx.Response(409)]
    await leg.reject(503, "Service Unavailable")
    assert [verb for verb, _ in server.verbs] == ["accept", "reject", "hangup"]


@virtual
async def test_an_accept_without_answers_is_the_providers_fault() -> None:
    leg, listener, server = a_leg()
    server.answers["accept"] = [httpx.Response(503)] * 4
    with pytest.raises(ProviderError):
        await leg.prepare()
    assert listener.log == []
    await leg.reject(503, "Service Unavailable")
    assert listener.log == ["over rejected"]


@virtual
async def test_a_settled_offer_is_told_and_raised() -> None:
    leg, listener, server = a_leg()
    server.answers["accept"] = [httpx.Response(409)]
    with pytest.raises(SipError) as error:
        await leg.prepare()
    assert (error.value.code, error.value.status) == ("already_settled", 487)
    assert listener.log == ["over caller_cancelled"]


@virtual
async def test_a_provider_that_cannot_hang_up_does_not_hold_us_up() -> None:
    leg, listener, server = a_leg()
    await leg.prepare()
    server.answers["hangup"] = [httpx.Response(500)] * 10
    await leg.hang_up("completed")
    assert listener.log == ["over we_hung_up"]


def played(
    response_id: str, playing: bool, heard_ms: int = 0, cut: bool = False
) -> RealtimeModelPlaybackEvent:
    return RealtimeModelPlaybackEvent(response_id, "item", playing, heard_ms, cut)


def settled(response_id: str, kind: OutcomeKind = OutcomeKind.COMPLETED) -> RealtimeModelResponseOutcomeEvent:
    return RealtimeModelResponseOutcomeEvent("req", Outcome(kind, response_id=response_id, heard_ms=7))


@virtual
async def test_playback_facts_in_any_order() -> None:
    leg, listener, _ = a_leg()
    for event in (
        played("a", False, 5),
        played("a", True),
        played("b", False, 5),
        played("a", False, 900),
        played("a", False, 900),
        settled("a"),
        played("b", True),
        settled("b", OutcomeKind.INTERRUPTED),
        played("b", False, 10, True),
        played("c", True),
        played("d", True),
        settled("c"),
    ):
        leg.model_event(event)
    assert listener.log == [
        "started a",
        "ended a 900 whole",
        "started b",
        "ended b 7 cut",
        "started c",
        "ended c 0 cut",
        "started d",
    ]
