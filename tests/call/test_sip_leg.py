"""The direct leg against a recording SIP transport: late offers, hold, transfers, endings."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from voiceagent.call import sip_leg
from voiceagent.call.direct_audio import DirectMedia
from voiceagent.call.leg import Heard, LegEnd, TransferResult
from voiceagent.call.sip_gateway import SipGateway
from voiceagent.call.sip_leg import SipLeg
from voiceagent.errors import MediaError
from voiceagent.media.party import DigitWay
from voiceagent.media.ports import PortRange
from voiceagent.media.wheel import MediaWheel
from voiceagent.sip import effects as sip

OFFER = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 40000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)
HOLD = OFFER + b"a=sendonly\r\n"
ANSWER_A = OFFER.replace(b"8 0 101", b"8")
ANSWER_U = OFFER.replace(b"8 0 101", b"0 101")


class Transport:
    """Notes every command."""

    def __init__(self) -> None:
        self.log: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        def command(*args: Any) -> None:
            self.log.append((name, *args))

        return command


class Listener:
    def __init__(self) -> None:
        self.log: list[tuple[Any, ...]] = []

    def leg_progress(self, status: int, early_media: bool) -> None: ...

    def leg_audio(self, audio: bytes) -> None: ...

    def leg_digit(self, digit: str) -> None:
        self.log.append(("digit", digit))

    def leg_playback_started(self, response_id: str, item_id: str) -> None: ...

    def leg_playback_ended(self, heard: Heard) -> None: ...

    def leg_noted(self, kind: str, **facts: object) -> None:
        self.log.append(("noted", kind))

    def leg_held(self, held: bool) -> None:
        self.log.append(("held", held))

    def leg_ended(self, end: LegEnd, status: int | None, reason: str) -> None:
        self.log.append(("ended", end))


class Bench:
    """One gateway with its fakes."""

    def __init__(self) -> None:
        self.wheel = MediaWheel(asyncio.get_running_loop())
        self.transport = Transport()
        self.listener = Listener()
        self.offered: list[Any] = []
        self.place()

    def place(self, **media: Any) -> None:
        """Set the gateway up, with these rules of the media."""
        place = DirectMedia(self.wheel, None, "127.0.0.1", "127.0.0.1", **media)
        self.gateway = SipGateway(place, self.offered.append, lambda _event: None)
        self.gateway.transport = self.transport  # type: ignore[assignment]

    async def answered(self, offer: bytes | None) -> SipLeg:
        self.gateway.on_event(
            sip.InviteReceived(
                "leg",
                "c@x",
                sip.Address("127.0.0.1", 5062),
                "sip:100@x",
                "100",
                "sip:a@x",
                "a",
                "",
                offer,
                (),
            )
        )
        leg: SipLeg = self.offered[-1]
        leg.listen(self.listener)
        await leg.prepare()
        await leg.answer()
        return leg


@pytest.fixture
async def bench() -> Any:
    bench = Bench()
    yield bench
    for leg in bench.offered:
        await leg.hang_up()
    bench.wheel.close()


def sdp_of(bench: Bench) -> str:
    """The SDP that we sent last."""
    return next(entry[2] for entry in reversed(bench.transport.log) if len(entry) > 2).decode()


@pytest.mark.parametrize("answer", [ANSWER_U, ANSWER_A])
async def test_without_an_offer_we_offer_all_and_the_line_keeps_what_the_model_is_opened_with(
    bench: Bench, answer: bytes
) -> None:
    leg = await bench.answered(None)
    assert leg.audio_format == "audio/pcmu"
    assert " 0 8 101" in sdp_of(bench)
    bench.gateway.on_event(sip.Confirmed("leg", answer))
    assert leg.audio_format == "audio/pcmu"
    assert not any(entry[0] == "hang_up" for entry in bench.transport.log)


async def test_a_late_offer_answered_with_nothing_or_nonsense_ends_the_call(bench: Bench) -> None:
    await bench.answered(None)
    bench.gateway.on_event(sip.Confirmed("leg", None))
    assert bench.transport.log[-1][0] == "hang_up"


async def test_the_offers_law_is_followed(bench: Bench) -> None:
    leg = await bench.answered(OFFER)
    assert leg.audio_format == "audio/pcma"


async def test_hold_by_offer_and_back_by_a_reinvite_without_one(bench: Bench) -> None:
    await bench.answered(OFFER)
    bench.gateway.on_event(sip.Confirmed("leg"))
    bench.gateway.on_event(sip.OfferReceived("leg", "INVITE", HOLD))
    bench.gateway.on_event(sip.OfferReceived("leg", "INVITE", None))
    bench.gateway.on_event(sip.Confirmed("leg", ANSWER_A))
    assert bench.listener.log == [("held", True), ("held", False)]


async def test_a_reinvite_with_an_offer_is_no_reason_to_end_a_call_that_began_without_one(
    bench: Bench,
) -> None:
    await bench.answered(None)
    bench.gateway.on_event(sip.Confirmed("leg", ANSWER_U))
    bench.gateway.on_event(sip.OfferReceived("leg", "INVITE", ANSWER_U + b"a=sendonly\r\n"))
    bench.gateway.on_event(sip.Confirmed("leg", None))
    assert bench.listener.log == [("held", True)]
    assert not any(entry[0] == "hang_up" for entry in bench.transport.log)


async def test_without_a_free_port_nothing_rings_and_nothing_is_answered(bench: Bench) -> None:
    bench.gateway = SipGateway(
        DirectMedia(bench.wheel, PortRange(13990, 13991), "127.0.0.1", "127.0.0.1"),
        bench.offered.append,
        lambda _event: None,
    )
    bench.gateway.transport = bench.transport  # type: ignore[assignment]
    await bench.answered(OFFER)
    bench.transport.log.clear()
    with pytest.raises(MediaError) as caught:
        await bench.answered(OFFER)
    assert caught.value.code == "no_port"  # which the call turns into 503
    assert bench.transport.log == []


async def test_the_codec_may_change_within_the_call_and_the_line_does_not(bench: Bench) -> None:
    leg = await bench.answered(OFFER)
    bench.gateway.on_event(sip.OfferReceived("leg", "INVITE", ANSWER_U))
    assert "m=audio" in sdp_of(bench)
    assert "a=rtpmap:0 PCMU/8000" in sdp_of(bench)
    assert leg.audio_format == "audio/pcma"
    path = leg._audio.port.path  # pyright: ignore[reportPrivateUsage]
    assert (path.codec, path.line) == ("PCMU", "alaw")


async def test_an_offer_without_any_codec_of_ours_is_refused_and_the_call_goes_on(bench: Bench) -> None:
    await bench.answered(OFFER)
    bench.gateway.on_event(sip.OfferReceived("leg", "INVITE", OFFER.replace(b"8 0 101", b"18")))
    assert bench.transport.log[-1] == ("refuse_offer", "leg", 488)


@pytest.fixture(params=[True, False])
def refer_taken(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


async def test_a_phone_that_hangs_up_during_its_transfer(bench: Bench, refer_taken: bool) -> None:
    leg = await bench.answered(OFFER)
    transfer = asyncio.create_task(leg.transfer("sip:desk@x", timeout_s=5))
    await asyncio.sleep(0)
    assert bench.transport.log[-1] == ("refer", "leg", "sip:desk@x")
    if refer_taken:
        bench.gateway.on_event(sip.ReferProgress("leg", 202, "Accepted", False))
    bench.gateway.on_event(sip.Ended("leg", "peer"))
    result = await transfer
    assert result.accepted is refer_taken
    expected = LegEnd.TRANSFERRED if refer_taken else LegEnd.CALLER_HUNG_UP
    assert bench.listener.log == [("ended", expected)]
    assert len(bench.gateway) == 0


async def test_the_word_of_notify_decides(bench: Bench) -> None:
    leg = await bench.answered(OFFER)
    transfer = asyncio.create_task(leg.transfer("sip:desk@x", timeout_s=5))
    await asyncio.sleep(0)
    bench.gateway.on_event(sip.ReferProgress("leg", 202, "Accepted", False))
    bench.gateway.on_event(sip.ReferProgress("leg", 180, "Ringing", False))
    assert (await leg.transfer("sip:other@x", timeout_s=5)).status == 491
    bench.gateway.on_event(sip.ReferProgress("leg", 486, "Busy Here", True))
    steps = ((202, "Accepted"), (180, "Ringing"), (486, "Busy Here"))
    assert await transfer == TransferResult(False, 486, "Busy Here", steps)


async def test_digits_by_info_and_an_end_told_once(bench: Bench) -> None:
    leg = await bench.answered(OFFER)
    bench.gateway.on_event(sip.InfoReceived("leg", "application/dtmf-relay", b"Signal=7"))
    bench.gateway.on_event(sip.Ended("leg", "failed", 481))
    bench.gateway.on_event(sip.Ended("leg", "us"))
    assert bench.listener.log == [("digit", "7"), ("ended", LegEnd.LOST)]
    await leg.reject(503, "Service Unavailable")
    assert (await leg.transfer("sip:x@x", timeout_s=1)).accepted is False


async def test_a_press_reported_by_both_ways_is_told_once(bench: Bench) -> None:
    leg = await bench.answered(OFFER)
    for digit in "77":
        leg.on_digit(digit)
        bench.gateway.on_event(sip.InfoReceived("leg", "application/dtmf-relay", b"Signal=7"))
    assert bench.listener.log == [("digit", "7"), ("digit", "7")]


@pytest.mark.parametrize(
    ("digits", "offer", "takes_info", "way"),
    [
        ("auto", OFFER, True, "rfc4733"),
        ("auto", ANSWER_A, True, "info"),
        ("auto", ANSWER_A, False, "inband"),
        ("info", OFFER, False, "info"),
        ("inband", OFFER, True, "inband"),
        ("rfc4733", ANSWER_A, True, "inband"),  # there are no events to send
    ],
)
async def test_keys_go_out_the_way_that_suits_the_phone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, digits: DigitWay, offer: bytes, takes_info: bool, way: str
) -> None:
    monkeypatch.setattr(sip_leg, "KEY_S", 0.0)
    bench.place(digits=digits)
    leg = await bench.answered(offer)
    bench.transport.peer_takes = lambda _leg, method: takes_info and method == "INFO"
    await leg.send_digits("4a")
    bodies = [entry[3] for entry in bench.transport.log if entry[0] == "send_info"]
    out = leg._audio.port._out
    if way == "info":
        assert bodies == [b"Signal=4\r\nDuration=160\r\n", b"Signal=A\r\nDuration=160\r\n"]
        assert not out.dialling
    else:
        assert bodies == []
        assert out.dialling
        assert bool(out._tones) == (way == "inband")


@pytest.mark.parametrize("way", ["rfc4733", "info", "inband"])
async def test_what_is_no_key_is_refused_whatever_the_way(bench: Bench, way: DigitWay) -> None:
    bench.place(digits=way)
    leg = await bench.answered(OFFER)
    with pytest.raises(ValueError, match="no DTMF digit"):
        await leg.send_digits("1\r\n")
    assert commands(bench, "send_info") == 0


def commands(bench: Bench, name: str) -> int:
    """How often the leg gave this command."""
    return sum(entry[0] == name for entry in bench.transport.log)


async def test_a_silent_phone_is_asked_and_the_call_goes_on_while_it_answers(bench: Bench) -> None:
    leg = await bench.answered(OFFER)
    for n in range(1, 16):
        leg.on_media_lost(20.0 * n)
        assert commands(bench, "probe") == n
        bench.gateway.on_event(sip.ProbeAnswered("leg", 200))
    leg.on_media_lost(20.0)  # there was sound in between
    assert (commands(bench, "probe"), commands(bench, "hang_up")) == (16, 0)
    for n in range(2, 17):
        leg.on_media_lost(20.0 * n)
    assert bench.listener.log[-1] == ("ended", LegEnd.NO_MEDIA)
    assert (commands(bench, "probe"), commands(bench, "hang_up")) == (30, 1)
    leg.on_media_lost(400.0)
    assert commands(bench, "probe") == 30


async def test_a_silent_phone_that_has_forgotten_the_call_ends_it(bench: Bench) -> None:
    leg = await bench.answered(OFFER)
    leg.on_media_lost(30.0)
    bench.gateway.on_event(sip.Ended("leg", "failed", 408, "the peer lost the dialog"))
    assert bench.listener.log == [("noted", "media.silent"), ("ended", LegEnd.LOST)]


async def test_a_phone_on_hold_is_asked_now_and_then_where_no_session_timer_runs(bench: Bench) -> None:
    leg = await bench.answered(OFFER)
    leg._on_hold_too_long()  # pyright: ignore[reportPrivateUsage]
    assert commands(bench, "probe") == 0
    bench.gateway.on_event(sip.OfferReceived("leg", "INVITE", HOLD))
    leg._on_hold_too_long()  # pyright: ignore[reportPrivateUsage]
    assert commands(bench, "probe") == 1
    bench.transport.session_interval = lambda _leg: 1800
    leg._on_hold_too_long()  # pyright: ignore[reportPrivateUsage]
    assert commands(bench, "probe") == 1


async def test_the_session_timers_words_are_noted_and_its_end_is_the_callers_side(bench: Bench) -> None:
    await bench.answered(OFFER)
    bench.gateway.on_event(sip.RefreshRefused("leg", "UPDATE", 503))
    bench.gateway.on_event(sip.Ended("leg", "expired", 408, "session expired"))
    assert bench.listener.log == [("noted", "session.refresh_refused"), ("ended", LegEnd.EXPIRED)]


async def test_the_same_offer_again_gets_the_same_answer_and_moves_no_media(bench: Bench) -> None:
    leg = await bench.answered(OFFER)
    first, path = sdp_of(bench), leg._audio.port.path  # pyright: ignore[reportPrivateUsage]
    bench.gateway.on_event(sip.OfferReceived("leg", "INVITE", OFFER))
    assert sdp_of(bench) == first
    assert leg._audio.port.path is path  # pyright: ignore[reportPrivateUsage]
    bench.gateway.on_event(sip.SessionRefreshed("leg", "INVITE", ANSWER_A))
    assert leg._audio.port.path.remote == path.remote  # pyright: ignore[reportPrivateUsage]
    bench.gateway.on_event(sip.SessionRefreshed("leg", "INVITE", OFFER.replace(b"40000", b"40002")))
    assert leg._audio.port.path.remote == ("127.0.0.1", 40002)  # pyright: ignore[reportPrivateUsage]
    bench.gateway.on_event(sip.SessionRefreshed("leg", "INVITE", b"nonsense"))
    assert bench.listener.log == [("noted", "session.refresh_unread")]


async def test_a_reception_that_fails_leaves_nobody_ringing(bench: Bench) -> None:
    def fail(_leg: Any) -> None:
        raise RuntimeError("no room")

    gateway = SipGateway(bench.gateway._media, fail, lambda _event: None)  # pyright: ignore[reportPrivateUsage]
    gateway.transport = bench.transport  # type: ignore[assignment]
    with pytest.raises(RuntimeError):
        gateway.on_event(
            sip.InviteReceived(
                "x", "c", sip.Address("127.0.0.1", 1), "sip:1@x", "1", "sip:a@x", "a", "", OFFER, ()
            )
        )
    assert bench.transport.log[-1][:3] == ("reject", "x", 500)
