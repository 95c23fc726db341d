"""Listening and taking over in the page: what is heard has the right pitch, and so has what is said."""

from __future__ import annotations

import asyncio
import struct
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, async_playwright, expect

from tests.console.fake_directory import FakeDirectory, FakeListener, a_call
from tests.console.kit import an_app
from tests.kit.frequency import loud, strongest
from tests.kit.service import until
from voiceagent.console.server import ConsoleServer
from voiceagent.media import g711
from voiceagent.media.live_track import AGENT, CALLER
from voiceagent.media.tones import sine
from voiceagent.store import Database

from .conftest import CHROMIUM, VIEWER, Desk, a_chromium
from .rest import PATIENCE_MS, open_call

pytestmark = [pytest.mark.browser, pytest.mark.loopback, pytest.mark.asyncio(loop_scope="module")]

CALLER_HZ, AGENT_HZ, OPERATOR_HZ = 700, 440, 1000
WHO = "console.token via page"
ABLE = ("hold", "transfer", "consult", "send_digits", "listen", "take_over")
TONES = """async () => {
  const { context, ear } = document.querySelector("va-listen").line ?? {};
  if (!ear) return [0, 1].map(() => ({ hertz: 0, db: -Infinity }));
  const split = context.createChannelSplitter(2);
  ear.connect(split);
  const ends = [0, 1].map((side) => {
    const end = new AnalyserNode(context, { fftSize: 8192, smoothingTimeConstant: 0 });
    split.connect(end, side);
    return end;
  });
  // What is looked at is the last 8192 samples; of a context that does not run there are none.
  const until = context.currentTime + 0.25, late = performance.now() + 5000;
  while (context.currentTime < until && performance.now() < late) {
    await new Promise((done) => setTimeout(done, 20));
  }
  ear.disconnect(split);
  return ends.map((end) => {
    const bins = new Float32Array(end.frequencyBinCount);
    end.getFloatFrequencyData(bins);
    const top = bins.indexOf(Math.max(...bins));
    return { hertz: (top * context.sampleRate) / end.fftSize, db: bins[top] };
  });
}"""
"""The strongest pitch of either side of what the page plays, and how strong it is."""
SENT = """async () => {
  const { context, socket } = document.querySelector("va-listen").line;
  const send = socket.send, until = context.currentTime + 0.3;
  let sent = 0;
  socket.send = (...given) => { sent += 1; send.apply(socket, given); };
  while (context.currentTime < until) await new Promise((done) => setTimeout(done, 20));
  return sent;
}"""
"""How many frames the page sends in 0.3 s of the time that its sound takes."""
SILENCE = b"\xff" * 160


@pytest_asyncio.fixture(loop_scope="module")
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """A desk whose browser has a microphone that hears a tone."""
    if CHROMIUM is None:
        pytest.skip("NO CHROMIUM FOUND: the console's page is not tested on this machine")
    sound = tmp_path / "microphone.wav"
    with wave.open(str(sound), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48000)
        file.writeframes(sine(OPERATOR_HZ, 10_000, rate=48000))
    heard = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    directory = FakeDirectory()
    database = Database("sqlite://")
    await database.open()
    server = ConsoleServer(an_app(directory, stream_tick_s=0.05, database=database), "127.0.0.1", 0)
    async with async_playwright() as playwright:
        browser = await a_chromium(playwright, *heard, f"--use-file-for-fake-audio-capture={sound}")
        desk = Desk(directory, await server.start(), browser, [])
        try:
            yield desk
        finally:
            await browser.close()
            await server.close()
            await database.close()
    assert desk.complaints == []


@asynccontextmanager
async def sounding(listener: FakeListener) -> AsyncIterator[None]:
    """Both sides of a call sound: the caller's tone and the agent's, at the pace of a line."""
    audio = {track: g711.encode(sine(hz, 1000)) for track, hz in ((CALLER, CALLER_HZ), (AGENT, AGENT_HZ))}

    async def play() -> None:
        loop = asyncio.get_running_loop()
        began, number = loop.time(), 0
        while True:
            while number * 0.02 <= loop.time() - began:
                for track, tone in audio.items():
                    at = number * 160 % len(tone)
                    listener.put(struct.pack("!BI", track, 8000 + number * 160) + tone[at : at + 160])
                number += 1
            await asyncio.sleep(0.01)

    playing = asyncio.create_task(play())
    try:
        yield
    finally:
        playing.cancel()


def state_of(directory: FakeDirectory, **facts: Any) -> dict[str, Any]:
    view = directory.call("c1")
    taken = view.taken_over_by
    return {"listeners": [], "muted": False, "taken_over_by": taken, "you": "1", "name": WHO, **facts}


async def opened(desk: Desk, **options: Any) -> Page:
    desk.directory.put_call(a_call("c1", abilities=ABLE))
    page = await desk.signed_in(**options)
    await page.context.grant_permissions(["microphone"])
    await open_call(page, "c1")
    return page


async def listener_of(desk: Desk) -> FakeListener:
    await until(lambda: desk.directory.listened)
    return desk.directory.listened[-1]


async def heard_here(page: Page, **sides: int) -> None:
    """Wait until what the page plays of each side (``caller``, ``agent``) is loudest at so many Hz."""
    found: list[dict[str, float]] = []

    def right(side: str, hertz: int) -> bool:
        one = found[("caller", "agent").index(side)]
        return abs(one["hertz"] - hertz) <= 8 and (one["db"] or -999) > -40

    try:
        async with asyncio.timeout(PATIENCE_MS / 1000):
            while not found or not all(right(side, hertz) for side, hertz in sides.items()):
                found = await page.evaluate(TONES)
    except TimeoutError:
        raise AssertionError(f"heard {found} in place of {sides}") from None


async def spoken(listener: FakeListener, hertz: int) -> None:
    """Wait until the last half second that came up from the microphone was loudest at ``hertz``."""
    found = 0
    try:
        async with asyncio.timeout(PATIENCE_MS / 1000):
            while found != hertz:
                await asyncio.sleep(0.2)
                sound = loud(b"".join(listener.voiced[-60:]))[-4000:]
                found = strongest(sound) if len(sound) == 4000 else 0
    except TimeoutError:
        raise AssertionError(f"heard {found} Hz in place of {hertz}") from None


async def test_both_sides_are_heard_at_their_pitch_and_the_meters_show_them(desk: Desk) -> None:
    page = await opened(desk)
    await page.get_by_role("button", name="Listen", exact=True).click()
    listener = await listener_of(desk)
    listener.put(state_of(desk.directory))
    async with sounding(listener):
        await heard_here(page, caller=CALLER_HZ, agent=AGENT_HZ)
        meters = page.locator("va-listen meter")
        for side in range(2):
            full = "(side) => document.querySelectorAll('va-listen meter')[side].value > 0.5"
            await page.wait_for_function(full, arg=side)
    listener.put(state_of(desk.directory, muted=True))
    await expect(page.locator(".listen-status")).to_contain_text("A secret is being taken")
    await page.keyboard.press("l")
    await expect(page.get_by_role("button", name="Listen", exact=True)).to_be_visible()
    await asyncio.wait_for(listener.over.wait(), PATIENCE_MS / 1000)
    await expect(meters.first).to_be_hidden()


async def test_the_microphone_goes_up_from_taking_over_to_handing_back(desk: Desk) -> None:
    page = await opened(desk)
    await page.get_by_role("button", name="Listen", exact=True).click()
    listener = await listener_of(desk)
    listener.put(state_of(desk.directory))
    async with sounding(listener):
        await page.get_by_role("button", name="Take over").click()
        await expect(page.locator(".listen-status")).to_have_text("You have the call.")
        listener.put(state_of(desk.directory))
        await spoken(listener, OPERATOR_HZ)
        assert {len(frame) for frame in listener.voiced} == {160}
        await page.get_by_role("button", name="Mute").click()
        # What was under way when it was pressed still comes; from the first silence on nothing else does.
        await until(lambda: listener.voiced[-1] == SILENCE)
        muted = len(listener.voiced)
        await until(lambda: len(listener.voiced) > muted + 20)
        assert set(b"".join(listener.voiced[muted:])) == {0xFF}, "silence goes on, so that nothing seems lost"
        await page.get_by_role("button", name="Hand back").click()
        await expect(page.get_by_role("button", name="Take over")).to_be_visible()
        assert await page.evaluate(SENT) == 0
    assert [act.what for _, act, _ in desk.directory.acts] == ["take_over", "hand_back"]


async def test_a_hand_back_from_elsewhere_and_the_end_of_the_call_switch_the_microphone_off(
    desk: Desk,
) -> None:
    page = await opened(desk)
    await page.get_by_role("button", name="Listen", exact=True).click()
    listener = await listener_of(desk)
    listener.put(state_of(desk.directory))
    await page.get_by_role("button", name="Take over").click()
    await expect(page.get_by_role("button", name="Mute")).to_be_visible()
    listener.put(state_of(desk.directory))
    desk.directory.change("c1", taken_over_by="")
    listener.put(state_of(desk.directory))
    await expect(page.get_by_role("button", name="Mute")).to_be_hidden()
    assert await page.evaluate("() => document.querySelector('va-listen').line.stream") is None
    listener.end("call_ended")
    await expect(page.locator("va-listen .problem")).to_contain_text("The call is over.")


async def test_who_may_not_listen_sees_no_button_but_who_has_the_call(desk: Desk) -> None:
    page = await opened(desk, token=VIEWER)
    await expect(page.get_by_role("heading", name="+447700900123")).to_be_visible()
    await expect(page.get_by_role("button", name="Listen", exact=True)).to_be_hidden()
    desk.directory.change("c1", taken_over_by="ann via page")
    await expect(page.locator("va-call-page")).to_contain_text("ann via page speaks with the caller")
    await expect(page.get_by_role("button", name="Hand back")).to_be_hidden()
