"""The browser leg against another WebRTC stack's peer in this process: both ways, keys, words, endings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from unittest.mock import Mock

import pytest

from tests.kit.browser_peer import BrowserPeer, browser_peer
from tests.media.tone_meter import share_of_tone
from voiceagent.call import browser_leg
from voiceagent.call.browser_leg import BrowserLeg, read_message
from voiceagent.call.direct_audio import DirectMedia
from voiceagent.call.leg import Heard, LegEnd, LegInfo
from voiceagent.errors import MediaError, RequestRefused
from voiceagent.loops import loop_factory
from voiceagent.media import g711, tones
from voiceagent.media.webrtc import PeerEvents
from voiceagent.media.webrtc_peer import WebrtcPeer
from voiceagent.media.webrtc_sdp import BrowserOffer, read_offer
from voiceagent.media.wheel import MediaWheel

pytestmark = pytest.mark.loopback


class Listener:
    """Hears the leg, and wakes up whoever waits for something."""

    def __init__(self) -> None:
        self.log: list[tuple[Any, ...]] = []
        self.audio = b""
        self.news = asyncio.Condition()
        self._waking: asyncio.Task[None] | None = None

    def leg_audio(self, audio: bytes) -> None:
        self.audio += audio
        self._wake()

    def leg_digit(self, digit: str) -> None:
        self._note("digit", digit)

    def leg_playback_started(self, response_id: str, item_id: str) -> None:
        self._note("started", item_id)

    def leg_playback_ended(self, heard: Heard) -> None:
        self._note("played", heard.item_id, heard.heard_ms, heard.cut)

    def leg_noted(self, kind: str, **facts: object) -> None:
        self._note("noted", kind)

    def leg_ended(self, end: LegEnd, status: int | None, reason: str) -> None:
        self._note("ended", end)

    def _note(self, *what: Any) -> None:
        self.log.append(what)
        self._wake()

    def _wake(self) -> None:
        async def wake() -> None:
            async with self.news:
                self.news.notify_all()

        self._waking = asyncio.ensure_future(wake())

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(20), self.news:
            await self.news.wait_for(condition)


@asynccontextmanager
async def a_leg(browser: BrowserPeer, **media: Any) -> AsyncIterator[tuple[BrowserLeg, Listener]]:
    """A leg that has answered the browser's offer; it connects while you look."""
    wheel = MediaWheel(asyncio.get_running_loop())
    place = DirectMedia(wheel, None, "127.0.0.1", "127.0.0.1", **media)
    offer = read_offer(await browser.offer())
    info = LegInfo("b1", "browser", "ann", "100")
    leg = BrowserLeg(info, offer, place, lambda events: WebrtcPeer(events, host="127.0.0.1"))
    listener = Listener()
    try:
        await browser.answered(await leg.negotiate())
        leg.listen(listener)  # type: ignore[arg-type]
        yield leg, listener
    finally:
        await leg.hang_up()
        wheel.close()


def a_tone(hertz: float, ms: int, law: g711.Law = "ulaw") -> bytes:
    return g711.encode(tones.sine(hertz, ms), law)


def frames_of(audio: bytes, hertz: float, law: g711.Law) -> int:
    """Count the frames that are one tone: where the test's microphone came late, a gap was filled."""
    frames = [audio[at : at + 160] for at in range(0, len(audio), 160)]
    return sum(share_of_tone(g711.linear(frame, law), hertz) > 0.95 for frame in frames)


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
async def test_tones_go_both_ways(codec: str) -> None:
    law: g711.Law = "alaw" if codec == "PCMA" else "ulaw"
    async with browser_peer(hertz=440, codec=codec) as browser, a_leg(browser) as (leg, listener):
        assert leg.audio_format == f"audio/{codec.lower()}"
        await leg.answer()
        leg.play(a_tone(1000, 600, law), response_id="r1", item_id="i1")
        leg.play_end(response_id="r1")
        await listener.until(lambda: ("played", "i1", 600, False) in listener.log)
        await listener.until(lambda: frames_of(listener.audio, 440, law) >= 20)
        silent = bytes((g711.silence_byte(law),)) * 160
        await browser.until(lambda: len([one for one in browser.heard if one != silent]) >= 30)
        spoken = [one for one in browser.heard if one != silent]
        assert share_of_tone(g711.linear(b"".join(spoken), law), 1000) > 0.99
        figures = leg.figures()
        assert figures.received >= 20
        assert figures.sent >= 30
        assert figures.srtp


async def test_barge_in_silences_within_a_frame_and_counts_what_was_heard() -> None:
    async with browser_peer() as browser, a_leg(browser) as (leg, listener):
        await leg.answer()
        leg.play(a_tone(1000, 5000), response_id="r1", item_id="i1")
        await browser.until(lambda: len(browser.heard) >= 10)
        (heard,) = leg.stop_playing()
        sent = leg.figures().sent
        assert heard.cut
        assert heard.heard_ms == 20 * sent
        await browser.until(lambda: browser.heard[-3:] == [b"\xff" * 160] * 3)
        spoken = [one for one in browser.heard if one != b"\xff" * 160]
        assert len(spoken) == heard.heard_ms // 20
        assert not [one for one in listener.log if one[0] == "played"]


async def test_keys_arrive_and_nothing_else_that_a_page_may_say() -> None:
    async with browser_peer() as browser, a_leg(browser) as (leg, listener):
        await leg.answer()
        leg.tell({"type": "call", "state": "talking"})
        await browser.until(lambda: browser.told)
        assert browser.told == [{"type": "call", "state": "talking"}]
        for digit in ("5", "#", "99", "x", "", 7, None):
            browser.say(type="digit", digit=digit)
        browser.say(type="nonsense")
        assert browser.channel is not None
        browser.channel.send("{")
        browser.channel.send(b"\x00\x01")
        browser.say(type="digit", digit="d")
        await listener.until(lambda: ("digit", "D") in listener.log)
        assert listener.log == [("digit", "5"), ("digit", "#"), ("digit", "D")]


async def test_a_flood_of_keys_is_not_the_calls_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser_leg, "KEYS_PER_S", 0)
    async with browser_peer() as browser, a_leg(browser) as (leg, listener):
        await leg.answer()
        for _ in range(500):
            leg.on_message('{"type":"digit","digit":"1"}')
        assert listener.log == [("digit", "1")] * browser_leg.KEYS_AT_ONCE
        leg.on_message('{"type":"hangup"}')
        assert listener.log[-1] == ("ended", LegEnd.CALLER_HUNG_UP)


async def test_what_was_told_before_the_channel_opened_is_not_lost() -> None:
    async with browser_peer() as browser, a_leg(browser) as (leg, _):
        for number in range(3):
            leg.tell({"type": "caption", "number": number})
        await leg.answer()
        await browser.until(lambda: len(browser.told) == 3)
        assert [one["number"] for one in browser.told] == [0, 1, 2]


async def test_we_hang_up_and_the_page_learns_why() -> None:
    async with browser_peer() as browser, a_leg(browser) as (leg, listener):
        await leg.answer()
        leg.tell({"type": "call"})
        await browser.until(lambda: browser.told)
        await leg.hang_up("completed")
        assert listener.log == [("ended", LegEnd.WE_HUNG_UP)]
        assert browser.told[-1] == {"type": "ended", "reason": "completed"}
        await leg.hang_up("again")
        assert listener.log == [("ended", LegEnd.WE_HUNG_UP)]


async def press(browser: BrowserPeer) -> None:
    browser.say(type="hangup")


async def close_tab(browser: BrowserPeer) -> None:
    await browser.connection.close()


async def close_channel(browser: BrowserPeer) -> None:
    assert browser.channel is not None
    browser.channel.close()


@pytest.mark.parametrize("leave", [press, close_tab, close_channel])
async def test_the_browser_leaves(leave: Callable[[BrowserPeer], Awaitable[None]]) -> None:
    async with browser_peer() as browser, a_leg(browser) as (leg, listener):
        await leg.answer()
        leg.tell({"type": "call"})
        await browser.until(lambda: browser.told)
        await leave(browser)
        await listener.until(lambda: listener.log)
        assert listener.log == [("ended", LegEnd.CALLER_HUNG_UP)]


async def test_a_browser_that_falls_silent_is_lost() -> None:
    async with browser_peer() as browser, a_leg(browser, silence_limit_s=1.0) as (leg, listener):
        await leg.answer()
        await listener.until(lambda: listener.audio)
        browser.connection.getSenders()[0].track.stop()
        browser.connection.getSenders()[0].replaceTrack(None)
        await listener.until(lambda: listener.log)
        assert listener.log == [("ended", LegEnd.LOST)]


async def test_a_browser_that_never_connects_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser_leg, "CONNECT_LIMIT_S", 0.0)
    async with browser_peer() as browser, a_leg(browser) as (leg, listener):
        await leg.answer()
        assert listener.log == [("ended", LegEnd.UNREACHABLE)]


async def test_music_of_a_hold_is_heard_and_ends() -> None:
    async with browser_peer() as browser, a_leg(browser) as (leg, _):
        await leg.answer()
        assert await leg.hold(True)
        await browser.until(lambda: browser.heard[-1] != b"\xff" * 160 if browser.heard else False)
        assert await leg.hold(False)
        await browser.until(lambda: browser.heard[-3:] == [b"\xff" * 160] * 3)


async def test_a_live_voice_is_heard_under_a_hold_the_music() -> None:
    async with browser_peer() as browser, a_leg(browser) as (leg, _):
        await leg.answer()
        leg.speak_live(lambda: b"\x11" * 160)
        await browser.until(lambda: browser.heard[-3:] == [b"\x11" * 160] * 3)
        await leg.hold(True)
        await browser.until(lambda: browser.heard[-1] not in (b"\x11" * 160, b"\xff" * 160))
        await leg.hold(False)
        await browser.until(lambda: browser.heard[-3:] == [b"\x11" * 160] * 3)
        leg.speak_live(None)
        await browser.until(lambda: browser.heard[-3:] == [b"\xff" * 160] * 3)


def keys_in(heard: list[bytes]) -> str:
    detector = tones.DtmfDetector()
    return "".join(detector.feed(one) for one in heard)


async def test_keys_of_ours_are_tones() -> None:
    async with browser_peer() as browser, a_leg(browser) as (leg, _):
        await leg.answer()
        with pytest.raises(ValueError, match="no DTMF digit"):
            await leg.send_digits("1x")
        await leg.send_digits("42")
        await browser.until(lambda: keys_in(browser.heard) == "42")


def test_it_works_on_the_fast_loop() -> None:
    factory = loop_factory()
    if factory is None:
        pytest.skip("NO UVLOOP: the browser phone is tested on asyncio's loop only")
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(test_tones_go_both_ways("PCMU"))


async def test_an_offer_that_aiortc_cannot_take_is_refused_and_leaves_nothing_open() -> None:
    closed: list[bool] = []

    class Peer(WebrtcPeer):
        async def close(self) -> None:
            closed.append(True)
            await super().close()

    def make(events: PeerEvents) -> Peer:
        return Peer(events, host="127.0.0.1")

    wheel = MediaWheel(asyncio.get_running_loop())
    place = DirectMedia(wheel, None, "127.0.0.1", "127.0.0.1")
    leg = BrowserLeg(
        LegInfo("b1", "browser", "ann", ""), BrowserOffer("v=0\r\nm=audio\r\n", "PCMU", 0), place, make
    )
    with pytest.raises(RequestRefused, match="sdp: cannot be answered") as refused:
        await leg.negotiate()
    assert refused.value.field == "sdp"
    assert closed == [True]
    wheel.close()


async def test_what_aiortc_cannot_close_is_closed_all_the_same_and_once() -> None:
    """A section that the bundle names as another's is left without a transport, and closing trips over it."""
    async with browser_peer(channel=False) as browser:
        text = (await browser.offer()).replace("a=mid:0", "a=mid:1").replace("BUNDLE 0", "BUNDLE 0 1")
        peer = WebrtcPeer(Mock(), host="127.0.0.1")
        with suppress(RequestRefused, MediaError):
            await peer.answer(BrowserOffer(text, "PCMU", 0))
        async with asyncio.timeout(10):
            await peer.close()
            await peer.close()
        assert peer._half_closed


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ('{"type":"digit","digit":"a"}', "A"),
        ('{"type":"hangup"}', "hangup"),
        ('{"type":"digit","digit":"hangup"}', None),
        ('["digit"]', None),
        ("[" * 900, None),
        ('{"type":"digit","digit":"5","x":"' + "y" * 2000 + '"}', None),
    ],
)
def test_messages_of_the_page(text: str, meant: str | None) -> None:
    assert read_message(text) == meant
