"""The page's phone against a whole service: the agent hears the microphone, the page hears the agent."""

from __future__ import annotations

import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, async_playwright, expect

from tests.browser.axe import axe_findings
from tests.browser.conftest import CHROMIUM, Desk, a_chromium
from tests.browser.rest import at_rest, look
from tests.kit.service import operator, service, until
from voiceagent.app.service import Service
from voiceagent.engine.parts import flite_present
from voiceagent.engine.resample import resample
from voiceagent.engine.synth_callers import telephone
from voiceagent.engine.tts.caller import synthesize

pytestmark = [pytest.mark.browser, pytest.mark.loopback, pytest.mark.asyncio(loop_scope="module")]

RATE = 48_000
FLOW = """
from voiceagent.ivr import Call, Digits, flow, option

@flow("asks", numbers=["100"])
async def asks(call: Call) -> None:
    topic = await call.choose(
        'Ask: "Billing, or opening hours?"',
        billing=option("1", "billing please"),
        hours=option("2", "opening hours please"),
        attempts=5,
    )
    await call.say(f"You have chosen {topic}.")
    found = await call.collect('Ask: "Which number?"', str, digits=Digits(2, pause_s=30), attempts=5)
    await call.say(f"You have pressed {found}." if found is not None else "Nothing.")
    await call.hangup("Goodbye.")

@flow("talks", numbers=["*"])
async def talks(call: Call) -> None:
    for _ in range(100):
        await call.say("One two three four five six seven eight nine ten.")
"""
LOUDEST = """async () => {
  const stream = document.querySelector("va-phone audio").srcObject;
  if (!stream) return 0;
  window.ear ??= (() => {
    const context = new AudioContext({sampleRate: 8000});
    const analyser = new AnalyserNode(context, {fftSize: 2048, smoothingTimeConstant: 0});
    context.createMediaStreamSource(stream).connect(analyser);
    return analyser;
  })();
  const bins = new Float32Array(window.ear.frequencyBinCount);
  window.ear.getFloatFrequencyData(bins);
  const at = bins.indexOf(Math.max(...bins));
  return bins[at] > -50 ? at * 8000 / 2048 : 0;
}"""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def said(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A microphone that says "opening hours please" again and again, with pauses."""
    if not flite_present():
        pytest.skip("NO FLITE: nobody speaks into the microphone")
    speech = resample(telephone(await synthesize("Opening hours please", "rms")), 8000, RATE)
    path = tmp_path_factory.mktemp("microphone") / "hours.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(b"\x00" * (2 * 5 * RATE) + speech + b"\x00" * (2 * 3 * RATE))
    return path


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def caller(said: Path) -> AsyncIterator[Browser]:
    """A browser whose microphone is that file."""
    if CHROMIUM is None:
        pytest.skip("NO CHROMIUM FOUND: the page's phone is not tested on this machine")
    flags = [
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={said}",
        "--autoplay-policy=no-user-gesture-required",
        # Where there is no other interface than loopback.
        "--allow-loopback-in-peer-connection",
        "--disable-features=WebRtcHideLocalIpsWithMdns",
    ]
    async with async_playwright() as playwright:
        browser = await a_chromium(playwright, *flags)
        yield browser
        await browser.close()


@asynccontextmanager
async def phone_of(browser: Browser, running: Service) -> AsyncIterator[Page]:
    """The phone's page, open; any complaint of the browser fails the test."""
    assert running.addresses is not None
    url = running.addresses.console or ""
    desk = Desk(None, url, browser, [])  # type: ignore[arg-type]
    page = await desk.page()
    await page.context.grant_permissions(["microphone"])
    await page.goto(f"{url}/#token={running.addresses.console_token}")
    await page.get_by_role("button", name="Not now, go on with the token").click()
    await page.get_by_role("link", name="Phone").click()
    await expect(page.get_by_role("status").filter(has_text="Ready to call")).to_be_visible()
    await at_rest(page)
    try:
        yield page
    finally:
        await page.context.close()
    assert desk.complaints == []


@pytest.fixture
def flows(tmp_path: Path) -> list[str]:
    path = tmp_path / "flows.py"
    path.write_text(FLOW, encoding="utf-8")
    return [str(path)]


def set_of(page: Page) -> Locator:
    return page.locator("va-phone")


async def hears(page: Page, hertz: float) -> None:
    """Wait until the loudest of what the page plays is at ``hertz``."""
    await page.wait_for_function(
        f"async () => Math.abs(await ({LOUDEST})() - {hertz}) < 12", polling=100, timeout=30_000
    )


async def test_the_agent_understands_the_microphone_and_the_page_hears_the_answer(
    caller: Browser, tmp_path: Path, flows: list[str]
) -> None:
    settings = {"engine__recogniser": "auto", "engine__vad": "auto", "call__no_input_s": 12}
    async with service(tmp_path, flows=flows, **settings) as running, phone_of(caller, running) as page:
        phone = set_of(page)
        await phone.get_by_label("Number").fill("100")
        await phone.get_by_role("button", name="Call", exact=True).click()
        await hears(page, 440)
        captions = phone.get_by_role("log")
        await expect(captions).to_contain_text("You have chosen hours.", timeout=60_000)
        await expect(captions.locator("[data-speaker=caller]").first).to_contain_text("opening hours please")
        # Whoever is late with the keys does not answer with what the microphone goes on saying.
        await phone.get_by_role("button", name="Mute", exact=True).click()
        await expect(captions).to_contain_text("Which number?")
        await phone.get_by_role("button", name="4", exact=True).click()
        await page.keyboard.press("2")
        await expect(phone.get_by_label("Keys pressed")).to_have_text("42")
        await expect(captions).to_contain_text("You have pressed 42.", timeout=30_000)
        await expect(page.get_by_text("The agent ended the call.")).to_be_visible(timeout=30_000)
        await expect(phone.get_by_role("button", name="Call", exact=True)).to_be_enabled()
        await until(lambda: running.admission.live == 0)
        (view,) = running.directory.calls()
        assert (view.kind, view.called, view.flow) == ("browser", "100", "asks")
        assert view.outcome is not None
        assert view.outcome["kind"] == "success"


async def test_hanging_up_muting_and_leaving(caller: Browser, tmp_path: Path, flows: list[str]) -> None:
    async with (
        service(tmp_path, flows=flows, engine__vad="auto") as running,
        phone_of(caller, running) as page,
        operator(running) as client,
    ):
        phone = set_of(page)
        status = phone.locator(".state")
        call = phone.get_by_role("button", name="Call", exact=True)
        await phone.get_by_label("Flow").select_option("talks")
        await call.click()
        await expect(status).to_have_text("Agent speaks")
        await hears(page, 440)
        assert await axe_findings(page) == []
        theirs = phone.locator(".level").nth(1).locator(".bar")
        await expect(theirs).not_to_have_attribute("style", "transform: scaleX(0);")
        await phone.get_by_role("button", name="Mute", exact=True).click()
        await expect(phone.get_by_role("button", name="Unmute")).to_have_attribute("aria-pressed", "true")
        await page.keyboard.press("m")
        await expect(phone.get_by_role("button", name="Mute", exact=True)).to_be_visible()
        (live,) = running.directory.live
        await client.post(f"/v1/calls/{live.id}/actions/hold")
        await expect(status).to_have_text("On hold")
        await client.post(f"/v1/calls/{live.id}/actions/resume")
        await expect(status).not_to_have_text("On hold")
        await phone.get_by_role("button", name="Hang up").click()
        await expect(status).to_have_text("You hung up.")
        await until(lambda: running.admission.live == 0)

        await call.click()
        await expect(status).to_have_text("Agent speaks")
        (live,) = running.directory.live
        await client.post(f"/v1/calls/{live.id}/actions/hangup")
        await expect(status).to_have_text("An operator ended the call.")
        await until(lambda: running.admission.live == 0)

        await call.click()
        await expect(status).to_have_text("Agent speaks")
        await page.get_by_role("link", name="Floor", exact=True).click()
        await expect(phone).to_be_hidden()
        await expect(page).to_have_title("(1) voiceagent console")
        await expect(page.locator(".pages [data-live]")).to_have_text("Phone")
        assert running.admission.live == 1
        await page.context.close()
        await until(lambda: running.admission.live == 0)
        assert {view.outcome["reason"] for view in running.directory.calls() if view.outcome} == {
            "caller_hung_up",
            "operator_hung_up",
        }


async def test_without_a_microphone_the_page_says_what_to_do(desk: Desk) -> None:
    page = await desk.signed_in(scheme="dark")
    phone = set_of(page)
    await page.get_by_role("link", name="Phone").click()
    await expect(phone.get_by_label("Flow").get_by_role("option")).to_have_text(["as the routes say", "desk"])
    for key in ("1", "star", "hash"):
        await phone.get_by_role("button", name=key, exact=True).click()
    await expect(phone.get_by_label("Number")).to_have_value("1*#")
    await phone.get_by_role("button", name="Call", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text("microphone")
    await expect(phone.locator(".state")).to_have_text("Ready to call")
    await page.set_viewport_size({"width": 360, "height": 740})
    assert await axe_findings(page) == []
    assert await look(page, "document.documentElement.scrollWidth") <= 360
    await page.evaluate("Object.defineProperty(navigator, 'mediaDevices', {value: undefined})")
    await phone.get_by_role("button", name="Call", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text("HTTPS or on localhost")


async def test_a_refusal_of_the_service_is_told_with_its_remedy(
    caller: Browser, tmp_path: Path, flows: list[str]
) -> None:
    async with (
        service(tmp_path, flows=flows, console__phone_calls_per_user=0) as running,
        phone_of(caller, running) as page,
    ):
        phone = set_of(page)
        await phone.get_by_role("button", name="Call", exact=True).click()
        await expect(page.get_by_role("alert")).to_contain_text("console.phone_calls_per_user")
        await expect(phone.locator(".state")).to_have_text("Ready to call")
