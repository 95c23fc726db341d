"""The console's page in front of a whole service: what is done there is heard by the phone that calls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, async_playwright, expect

from tests.kit.bells import BELLS, PLAIN, pitch_now
from tests.kit.cut_line import cut_line
from tests.kit.service import until
from voiceagent.media.tones import sine
from voiceagent.media.wav import WavWriter

from .axe import axe_findings
from .conftest import CHROMIUM, a_chromium
from .hostile import CARRIERS
from .real_calls import STRANGE, House, a_house, until_heard, wish
from .rest import PATIENCE_MS, at_rest, go, open_call
from .test_hostile import nothing_ran
from .test_listen import heard_here

pytestmark = [pytest.mark.browser, pytest.mark.loopback, pytest.mark.asyncio(loop_scope="module")]

HEARD = (*CARRIERS[3:12:4], "\r\nevent: call.ended\r\ndata: {}\r\n\r\n<script>window.pwned=1</script>")
BELL, HORN, GONG = BELLS["bell"], BELLS["horn"], BELLS["gong"]
MICROPHONE_HZ = HORN
TOLD = """
window.told = [];
window.cuts = 0;
const types = ["snapshot", "call.started", "call.changed", "call.ended", "transcript.line", "response.state"];
window.EventSource = class extends window.EventSource {
  constructor(...given) {
    super(...given);
    this.addEventListener("error", () => { window.cuts += 1; });
    for (const type of types) {
      this.addEventListener(type, (event) => window.told.push([type, event.lastEventId, event.data]));
    }
  }
};
"""
"""Notes every event before the page sees it, and how often the stream broke."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def open_house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    if CHROMIUM is None:
        pytest.skip("NO CHROMIUM FOUND: the console's page is not tested on this machine")
    folder = tmp_path_factory.mktemp("house")
    sound = folder / "microphone.wav"
    with WavWriter(sound, rate=48000, channels=1) as file:
        file.write(sine(MICROPHONE_HZ, 10_000, rate=48000))
    heard = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    async with async_playwright() as playwright:
        browser = await a_chromium(playwright, *heard, f"--use-file-for-fake-audio-capture={sound}")
        async with a_house(browser, folder) as house:
            yield house
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def house(open_house: House) -> AsyncIterator[House]:
    """The service without calls; any complaint of the browser fails the test."""
    open_house.complaints.clear()
    yield open_house
    for context in open_house.browser.contexts:
        await context.close()
    await until(lambda: not open_house.running.directory.live)
    assert open_house.complaints == []


def asked(page: Page, instructions: str) -> Locator:
    """The item of the response queue that an operator asked for in these words."""
    return page.locator("va-queue-item").filter(has_text=instructions)


async def test_a_call_appears_on_the_floor_of_who_signs_in_by_name_and_its_words_grow(house: House) -> None:
    page = await house.signed_in()
    await expect(page.locator(".who-am-i")).to_have_text("olive admin")
    await expect(page.get_by_text("No live calls.")).to_be_visible()
    async with house.a_call(user="+447700900123") as (call, _):
        row = page.get_by_role("list", name="Live calls").get_by_role("listitem")
        await expect(row).to_contain_text("+447700900123")
        await call.until_speaking()
        await expect(row).to_contain_text("agent speaks")
        await row.get_by_role("link").click()
        lines = page.get_by_role("log", name="Transcript").get_by_role("listitem")
        await expect(lines.nth(0)).to_contain_text("One two three")
        await expect(lines.nth(1)).to_contain_text("One two three")
        call.hang_up()
        await expect(page.locator(".ending")).to_contain_text("Ended")


async def test_now_is_heard_within_the_agents_speech_and_ends_at_heard(house: House) -> None:
    page = await house.signed_in()
    async with house.a_call("200") as (call, call_id):
        await open_call(page, call_id)
        await wish(page, 'Say: "The bell rings at nine."', "now")
        await until(lambda: pitch_now(call) == PLAIN)
        await page.get_by_role("button", name="Send").click()
        item = asked(page, "The bell rings")
        await expect(item.locator(".chip")).to_have_text("completed")
        await expect(item).to_contain_text("heard 1.4\u00a0s")
        await expect(page.get_by_role("log").locator("del").first).to_be_visible()
        (length,) = [length for pitch, length in await until_heard(call, BELL, PLAIN) if pitch == BELL]
        assert 0.8 < length / (60 * len("The bell rings at nine.")) < 1.4


async def test_a_double_click_is_heard_once(house: House) -> None:
    page = await house.signed_in()
    async with house.a_call("200") as (call, call_id):
        await open_call(page, call_id)
        await wish(page, 'Say: "The horn is blown once."', "now")
        await until(lambda: pitch_now(call) == PLAIN)
        await page.get_by_role("button", name="Send").dblclick()
        await expect(asked(page, "The horn").locator(".chip")).to_have_text("completed")
        # A second one would have come before the agent's next line.
        lines = await until_heard(call, PLAIN, HORN, PLAIN)
        await expect(page.get_by_role("log").get_by_text("The horn is blown once.")).to_have_count(1)
        await expect(asked(page, "The horn")).to_have_count(1)
        (length,) = [length for pitch, length in lines if pitch == HORN]
        assert 0.8 < length / (60 * len("The horn is blown once.")) < 1.4


async def test_what_is_withdrawn_is_not_heard(house: House) -> None:
    page = await house.signed_in()
    async with house.a_call("200") as (call, call_id):
        await open_call(page, call_id)
        await page.get_by_role("button", name="Hold", exact=True).click()
        await expect(page.locator(".call-head .floor")).to_have_text("on hold")
        for words in ("The gong is never heard.", "The bell is heard."):
            await wish(page, f'Say: "{words}"', "idle")
            await page.get_by_role("button", name="Send").click()
            await expect(asked(page, words).locator(".chip")).to_have_text("queued")
        await asked(page, "The gong").get_by_role("button", name="Cancel").click()
        await expect(asked(page, "The gong").locator(".chip")).to_have_text("withdrawn")
        await page.get_by_role("button", name="Resume", exact=True).click()
        await expect(asked(page, "The bell").locator(".chip")).to_have_text("completed")
        assert GONG not in [pitch for pitch, _ in await until_heard(call, BELL, PLAIN)]


async def test_a_cut_stream_goes_on_with_no_event_lost_or_doubled(house: House) -> None:
    async with cut_line(int(house.url.rpartition(":")[2])) as (line, port):
        page = await house.signed_in(url=f"http://127.0.0.1:{port}", script=TOLD)
        steady = await house.signed_in(script=TOLD)
        async with house.a_call() as (_, call_id):
            for watcher in (page, steady):
                await open_call(watcher, call_id)
                # Only who has been told something can go on after it.
                await watcher.wait_for_function("() => window.told.length > 1")
            for number in range(2):
                assert line.cut() > 0
                await page.wait_for_function(f"() => window.cuts > {number}")
                await wish(steady, f'Say: "The bell rings, number {number}."', "now")
                await steady.get_by_role("button", name="Send").click()
                words = f"The bell rings, number {number}."
                await expect(asked(page, words).locator(".chip")).to_have_text("completed")
        await expect(page.locator(".ending")).to_be_visible()
        await expect(steady.locator(".ending")).to_be_visible()
        told, seen = await events_of(page), await events_of(steady)
        async with asyncio.timeout(PATIENCE_MS / 1000):
            while told[-1][0] != seen[-1][0]:
                told, seen = await events_of(page), await events_of(steady)
        for watcher in (page, steady):
            await at_rest(watcher)
        lines = [await watcher.locator("va-line .said").all_text_contents() for watcher in (page, steady)]
        await page.context.close()
    house.complaints[:] = [one for one in house.complaints if "net::ERR_" not in one]
    assert [kind for _, kind, _ in told].count("snapshot") == 1, "it went on where it was, both times"
    first = max(told[0][0], seen[0][0])
    common = [one for one in told if one[0] > first]
    assert common == [one for one in seen if one[0] > first]
    numbers = [number for number, _, _ in common]
    assert numbers == sorted(set(numbers))
    assert len(common) > 20
    assert lines[0] == lines[1]


async def test_hostile_texts_of_a_real_call_stay_text_live_and_in_the_history(house: House) -> None:
    said = CARRIERS[:20:4]
    STRANGE.update(tool=CARRIERS[1], step=CARRIERS[2], model=said)
    house.ear.hears.extend(HEARD)
    page = await house.signed_in()
    async with house.a_call("300", user=quote(CARRIERS[2], safe="")) as (call, call_id):
        who = page.get_by_role("list", name="Live calls").locator(".who")
        await expect(who).to_have_text(CARRIERS[2])
        await open_call(page, call_id)
        lines = page.get_by_role("log", name="Transcript").locator("[role=listitem] .said")
        await expect(lines.filter(has_text=said[-1])).not_to_have_count(0)
        for number, text in enumerate(HEARD):
            await call.play(call.encode(sine(700, 600)))
            await expect(page.locator("va-line[data-speaker=caller]")).to_have_count(number + 1)
            await expect(page.locator("va-line[data-speaker=caller] .said").last).to_have_text(text)
        await nothing_ran(page)
    await expect(page.locator(".ending")).to_be_visible()
    await nothing_ran(page)
    view = house.running.directory.call(call_id)
    found = " ".join(line.text for line in view.transcript)
    assert all(text in found for text in (CARRIERS[1], *said, *HEARD))
    assert await house.running.archive.flush(PATIENCE_MS / 1000)
    await go(page, f"#/history/{call_id}")
    await expect(page.get_by_role("region", name="Transcript")).to_contain_text(HEARD[-1])
    await nothing_ran(page)


async def test_listening_taking_over_and_handing_back_are_heard_at_both_ends(house: House) -> None:
    page = await house.signed_in()
    async with house.a_call("200") as (call, call_id):
        await open_call(page, call_id)
        await listen(page)
        await heard_here(page, agent=PLAIN)
        heard = asyncio.Event()

        async def sound() -> None:
            while not heard.is_set():
                await call.play(call.encode(sine(GONG, 1000)))

        playing = asyncio.create_task(sound())
        await heard_here(page, caller=GONG)
        heard.set()
        await playing

        await page.get_by_role("button", name="Take over").click()
        await expect(page.locator(".listen-status")).to_have_text("You have the call.")
        taken = len(await until_heard(call, MICROPHONE_HZ))
        await expect(page.locator(".now")).to_contain_text("olive")
        await page.get_by_role("button", name="Hand back").click()
        lines = await until_heard(call, PLAIN)
        assert [pitch for pitch, _ in lines[taken - 1 :]] == [MICROPHONE_HZ, PLAIN]
        await heard_here(page, agent=PLAIN)


async def listen(page: Page) -> None:
    """Press the button, and wait until the socket is open and whatever comes is played."""
    await page.get_by_role("button", name="Listen", exact=True).click()
    await page.wait_for_function("() => document.querySelector('va-listen').line?.socket?.readyState === 1")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_on_any_page_of_a_service_at_work(house: House, scheme: str) -> None:
    page = await house.signed_in(scheme=scheme)
    async with house.a_call() as (call, call_id):
        await call.until_speaking()
        await expect(page.locator("va-floor-row")).not_to_have_count(0)
        found = {"floor": await axe_findings(page)}
        await open_call(page, call_id)
        await listen(page)
        await expect(page.locator("va-turns tr")).not_to_have_count(0)
        found["call"] = await axe_findings(page)
    await expect(page.locator(".ending")).to_be_visible()
    assert await house.running.archive.flush(PATIENCE_MS / 1000)
    for name, address, shown in (
        ("history", "#/history", "va-history table, va-history [role=list], va-history li"),
        ("one call", f"#/history/{call_id}", "va-player"),
        ("phone", "#/phone", "va-phone .state"),
        ("health", "#/health", "va-health h2"),
        ("admin", "#/admin", "va-admin h2, va-admin h3"),
    ):
        await go(page, address)
        await expect(page.locator(shown).first).to_be_visible()
        found[name] = await axe_findings(page)
    assert found == {name: [] for name in found}


async def events_of(page: Page) -> list[tuple[int, str, Any]]:
    """Number, type and data of every event that came, in the order in which they came."""
    told = await page.evaluate("window.told")
    return [(int(event_id.rpartition("-")[2] or 0), kind, json.loads(data)) for kind, event_id, data in told]
