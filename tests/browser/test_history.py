"""The history: searched, shared by its address, exported; one call read, heard and seen."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.console.fake_directory import FakeDirectory, a_call, seen_by_the_console
from tests.console.kit import TOKEN, VIEWER
from tests.store.kit import record
from voiceagent.console.app import create_app
from voiceagent.console.config import ConsoleConfig
from voiceagent.console.server import ConsoleServer
from voiceagent.records.states import RecordingRecord
from voiceagent.store import Database, audit, history, recordings
from voiceagent.store.history import CallQuery, LineRecord, ResponseRecord

from .conftest import Desk
from .rest import PATIENCE_MS, at_rest, go, look
from .staged_history import fill_history
from .test_page import FAINT, HOSTILE

pytestmark = [pytest.mark.browser, pytest.mark.loopback, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module")
async def shelf(browser: Browser, tmp_path: Path) -> AsyncIterator[Desk]:
    """A desk with 70 ended calls."""
    database = Database("sqlite://")
    await database.open()
    directory = FakeDirectory()
    await fill_history(database, directory, tmp_path)
    config = ConsoleConfig(
        token=TOKEN,
        viewer_token=VIEWER,
        stream_tick_s=0.05,
        recordings_dir=str(tmp_path),
        journal_dir=str(tmp_path),
    )
    server = ConsoleServer(
        create_app(seen_by_the_console(directory), config, database=database), "127.0.0.1", 0
    )
    desk = Desk(directory, await server.start(), browser, [], database)
    try:
        yield desk
    finally:
        for context in browser.contexts:
            await context.close()
        await server.close()
        await database.close()
    assert desk.complaints == []


def query_of(page: Page) -> dict[str, list[str]]:
    return parse_qs(page.url.partition("?")[2])


async def slowly(page: Page) -> None:
    """Let whatever plays play at a tenth of its speed: however late a test comes, it has not ended yet."""
    await page.evaluate(
        """() => {
            const { get, set } = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, "playbackRate");
            const slow = function (rate) { set.call(this, rate / 10); };
            Object.defineProperty(HTMLMediaElement.prototype, "playbackRate", { get, set: slow });
        }"""
    )


async def test_calls_are_found_as_one_types_and_the_address_shares_them(shelf: Desk) -> None:
    page = await shelf.signed_in()
    await go(page, "#/history")
    rows = page.locator("va-history-list tbody tr")
    await expect(rows).to_have_count(50)
    await expect(page.get_by_text("The first 50 calls")).to_be_visible()
    await page.get_by_role("button", name="Show more").click()
    await expect(rows).to_have_count(70)
    await expect(page.get_by_text("70 calls", exact=True)).to_be_visible()
    await expect(page.get_by_role("button", name="Show more")).to_be_hidden()

    await page.get_by_label("Search").press_sequentially("lovely thank")
    await expect(rows).to_have_count(1)
    await page.get_by_label("Search").fill("")
    await page.get_by_label("Ending").select_option("provider")
    await page.get_by_label("Flow").fill("clinic")
    await expect(page).to_have_url(re.compile("flow=clinic"))
    fits = CallQuery(outcome="provider", flow="clinic", limit=200)
    assert shelf.database is not None
    found = len((await shelf.database.run(lambda c: history.find(c, fits))).calls)
    await expect(rows).to_have_count(found)
    await expect(rows.first).to_contain_text("provider lost")
    await at_rest(page)
    assert query_of(page) == {"outcome": ["provider"], "flow": ["clinic"]}

    other = await shelf.signed_in()
    await other.goto(page.url)
    await expect(other.locator("va-history-list tbody tr")).to_have_count(found)
    await expect(other.get_by_label("Flow")).to_have_value("clinic")
    await expect(other.locator("summary").filter(has_text="Filters")).to_contain_text("1 set")
    await other.get_by_role("button", name="Clear all").click()
    await expect(other.locator("va-history-list tbody tr")).to_have_count(50)
    await expect(other).to_have_url(re.compile(r"^[^?]*$"))


async def test_days_are_whole_days_here_and_a_links_exact_times_are_kept(shelf: Desk) -> None:
    page = await shelf.signed_in()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/v1/history?" in request.url else None)
    await go(page, "#/history")
    await page.get_by_label("Since").fill("2026-03-01")
    await page.get_by_label("Until").fill("2026-03-02")
    await expect(page.get_by_text("No call fits.")).to_be_visible()
    await expect(page).to_have_url(re.compile("since=.*until="))
    query = query_of(page)
    day = await page.evaluate("new Date(2026, 2, 1).valueOf() / 1000")
    after = await page.evaluate("new Date(2026, 2, 3).valueOf() / 1000")
    assert (float(query["since"][0]), float(query["until"][0])) == (day, after)
    exact = time.time() - 5000
    await go(page, f"#/history?since={exact:.0f}&outcome=odd")
    await expect(page.get_by_label("Ending")).to_have_value("odd")
    async with page.expect_response(re.compile("/v1/history\\?.*direction=inbound")) as answered:
        await page.get_by_label("Direction").select_option("inbound")
    assert f"since={exact:.0f}" in (await answered.value).url


async def test_a_refused_filter_is_told_beside_its_field(shelf: Desk) -> None:
    page = await shelf.signed_in()
    await go(page, "#/history?q=***")
    await expect(page.locator("[data-problem=q]")).not_to_be_empty()
    await expect(page.get_by_label("Search")).to_have_attribute("aria-invalid", "true")
    await page.get_by_label("Search").fill("lovely")
    await expect(page.locator("[data-problem=q]")).to_be_empty()
    await expect(page.locator("va-history-list tbody tr").first).to_be_visible()


async def test_an_export_has_the_filters_of_the_list(shelf: Desk) -> None:
    page = await shelf.signed_in()
    await go(page, "#/history?flow=clinic&order=longest")
    await expect(page.locator("va-history-list tbody tr").first).to_contain_text("clinic")
    async with page.expect_download() as download:
        await page.get_by_role("link", name="CSV").click()
    lines = list(csv.DictReader(io.StringIO((await (await download.value).path()).read_text())))
    assert {line["flow"] for line in lines} == {"clinic"}
    async with page.expect_download() as download:
        await page.get_by_role("link", name="JSON").click()
    assert len(json.loads((await (await download.value).path()).read_text())["calls"]) == len(lines)
    viewer = await shelf.signed_in(token=VIEWER)
    await go(viewer, "#/history")
    await expect(viewer.get_by_text("Exporting needs the right “manage”")).to_be_visible()
    await expect(viewer.get_by_role("link", name="CSV")).to_have_count(0)


async def test_a_call_is_opened_and_left_by_keyboard_and_the_list_is_where_it_was(shelf: Desk) -> None:
    page = await shelf.signed_in()
    await go(page, "#/history?flow=orders")
    links = page.locator("va-history-list a.whole")
    await links.first.focus()
    await page.keyboard.press("ArrowDown")
    await expect(links.nth(1)).to_be_focused()
    number = await links.nth(1).inner_text()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name=number)).to_be_visible()
    await page.get_by_role("link", name="← History").click()
    await expect(links.nth(1)).to_be_focused()
    assert query_of(page) == {"flow": ["orders"]}
    await page.go_back()
    await expect(page.get_by_role("heading", name=number)).to_be_visible()


async def until(page: Page, condition: str) -> None:
    """Wait frame by frame; ``wait_for_function`` needs an ``eval`` that our policy forbids."""
    await page.evaluate(
        f"""async () => {{
            const until = performance.now() + {PATIENCE_MS};
            while (!({condition})) {{
                if (performance.now() > until) throw new Error({json.dumps(condition)});
                await new Promise(requestAnimationFrame);
            }}
        }}"""
    )


NOW = "document.querySelector('va-player').now"


async def test_a_recording_plays_from_where_one_clicks_and_the_transcript_follows(shelf: Desk) -> None:
    page = await shelf.signed_in()
    await slowly(page)
    assert shelf.database is not None
    await go(page, "#/history/call_0")
    lines = page.get_by_role("region", name="Transcript").get_by_role("listitem")
    await expect(lines).to_have_count(8)
    await expect(lines.nth(2).locator("del")).to_have_text("me the postcode, please?")
    await expect(page.locator("va-queue-item")).to_have_count(2)
    await expect(page.get_by_label("Position")).to_have_attribute("aria-valuetext", "0:01 of 0:30")
    assert await shelf.database.run(lambda c: audit.read(c, action="call.play_recording")) == []

    await page.get_by_role("button", name="Play from 0:08").click()
    await until(page, f"{NOW} > 8.5")
    await expect(page.get_by_role("button", name="Pause")).to_be_visible()
    await expect(lines.nth(2)).to_have_attribute("aria-current", "true")
    await lines.nth(4).locator(".said").click()
    await expect(lines.nth(4)).to_have_attribute("aria-current", "true")
    await page.get_by_role("button", name="Pause").click()
    # Seven seconds on there is the second recording: it begins at 18 s.
    await page.get_by_role("button", name="Play from 0:24").click()
    await expect(page.get_by_label("Recording", exact=True).last).to_have_value("1")
    await until(page, f"{NOW} > 24.1")
    await expect(lines.nth(7)).to_have_attribute("aria-current", "true")

    await page.get_by_role("heading", level=2).last.click()
    await page.keyboard.press(" ")
    await expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    before = await page.evaluate(NOW)
    await page.keyboard.press("ArrowLeft")
    await until(page, f"Math.abs({NOW} - {before} + 5) < 0.2")
    played = await shelf.database.run(lambda c: audit.read(c, action="call.play_recording"))
    assert sorted(line.detail for line in played) == [
        '{"file": "call_0-part2.wav"}',
        '{"file": "call_0.wav"}',
    ]


async def test_the_line_over_the_time_line_moves_and_a_click_there_plays(shelf: Desk) -> None:
    page = await shelf.signed_in()
    await slowly(page)
    await go(page, "#/history/call_0")
    stage = page.locator("va-history-call .tl-stage")
    await expect(stage).to_be_visible()
    scale = "document.querySelector('va-history-call va-timeline').scale()"
    x = await page.evaluate(f"{scale}.x(9)")
    await stage.click(position={"x": x, "y": 40})
    await until(page, f"{NOW} > 9.1")
    off = (
        f"new DOMMatrix(getComputedStyle(document.querySelector('.playhead')).transform).e - {scale}.x({NOW})"
    )
    await page.get_by_role("button", name="Pause").click()
    await until(page, f"Math.abs({off}) < 2")
    await page.locator("va-history-call").get_by_role("button", name="Zoom in").click()
    await until(page, f"Math.abs({off}) < 2")
    await stage.focus()
    await page.keyboard.press("Home")
    await page.keyboard.press("ArrowRight")
    picked = await page.evaluate("document.querySelector('va-history-call va-timeline').picked")
    await page.keyboard.press("Enter")
    await until(page, f"{NOW} >= {picked} - 0.1")


async def test_a_tag_put_on_a_call_stands_in_the_list_one_comes_back_to(shelf: Desk) -> None:
    page = await shelf.signed_in()
    await go(page, "#/history?flow=front-desk")
    await page.locator("va-history-list a.whole").first.click()
    await page.locator("va-history-call").get_by_label("New tag").fill("escalated")
    await page.locator("va-history-call").get_by_label("New tag").press("Enter")
    await expect(page.locator("va-history-call .tag bdi")).to_have_text("escalated")
    await page.get_by_role("link", name="← History").click()
    await expect(page.locator("va-history-list tbody tr").first).to_contain_text("escalated")


async def test_what_cannot_be_heard_or_shown_is_told_with_the_reason(shelf: Desk) -> None:
    page = await shelf.signed_in()
    await go(page, "#/history/call_1")
    await expect(page.get_by_text("There is no time line")).to_be_visible()
    await page.get_by_role("button", name="Play", exact=True).click()
    await expect(page.get_by_text("is not kept any more")).to_have_count(2)
    await go(page, "#/history/call_2")
    await expect(page.get_by_text("This call was not recorded.")).to_be_visible()
    await expect(page.get_by_text("The provider closed the session (1011).")).to_be_visible()
    gone = RecordingRecord(file="gone.wav", call_id="call_1", name="one", started_at=1.0, state="erased")
    await shelf.database.run(lambda c: recordings.put(c, gone))
    await go(page, "#/history/call_1")
    await expect(page.get_by_text("the recording has been erased.")).to_be_visible()
    await expect(page.get_by_role("button", name="Play", exact=True)).to_have_count(0)
    await go(page, "#/history/never")
    await expect(page.get_by_text("The history has no call 'never'.")).to_be_visible()
    shelf.directory.put_call(a_call("live1"))
    await go(page, "#/history/live1")
    await page.get_by_role("link", name="Open it on the floor").click()
    await expect(page.get_by_role("heading", name="+447700900123")).to_be_visible()
    viewer = await shelf.signed_in(token=VIEWER)
    await go(viewer, "#/history/call_0")
    await expect(viewer.get_by_text("Hearing it needs the right “listen”")).to_be_visible()
    await expect(viewer.get_by_role("link", name="Journal")).to_have_count(0)
    await expect(viewer.get_by_role("button", name="Play from 0:08")).to_have_count(0)


async def test_without_a_database_the_history_says_so_and_tries_again(bare: Desk) -> None:
    page = await bare.signed_in()
    await go(page, "#/history")
    await expect(page.get_by_role("alert").filter(has_text="voiceagent doctor")).to_be_visible()
    await page.route("**/v1/history?*", lambda route: route.fulfill(json={"calls": [], "next": ""}))
    await page.get_by_role("button", name="Try again").click()
    await expect(page.get_by_text("No call has ended yet.")).to_be_visible()


async def test_hostile_words_stay_words_in_the_history(shelf: Desk) -> None:
    assert shelf.database is not None
    for n, text in enumerate(HOSTILE):
        kept = record(
            f"bad{n}",
            caller=text,
            called=text,
            flow=text,
            trunk=text,
            provider=text,
            outcome=text,
            reason=text,
            fault=text,
            started_at=time.time() + n,
            recording=text,
            figures={"recordings": [text], "lost": text, text: text},
        )
        said = [LineRecord(1.0, "caller", text, text, False), LineRecord(2.0, text, "", text, True)]
        asked = [
            ResponseRecord("r", text, text, {text: text}, 1.0, "failed", text, {"kind": text, "code": text})
        ]

        def write(c: Any, kept: Any = kept, said: Any = said, asked: Any = asked, text: str = text) -> None:
            history.write(c, kept, said, asked)
            history.tag(c, kept.id, text, by=text, at=1.0)

        await shelf.database.run(write)
    page = await shelf.signed_in()
    await go(page, "#/history")
    await expect(page.locator("va-history-list a.whole bdi").first).to_have_text(HOSTILE[-1])
    for n, text in enumerate(HOSTILE):
        await go(page, f"#/history/bad{n}")
        await expect(page.locator("va-history-call h2 bdi")).to_have_text(text)
        await expect(page.locator("va-history-call .said").first).to_have_text(text)
        await expect(page.locator("va-history-call .tag bdi")).to_have_text(text)
    await go(page, "#/history/%00<img onerror=alert(1)>?flow=<img src=x onerror=alert(1)>")
    await expect(page.locator("va-history-call .state-note")).to_be_visible()
    assert await page.evaluate("window.pwned") is None
    assert await page.evaluate("document.querySelectorAll('script:not([src]), iframe, style').length") == 0


async def test_the_history_is_legible_and_fits_in_both_schemes(shelf: Desk) -> None:
    for scheme, width in (("light", 1440), ("dark", 360)):
        page = await shelf.signed_in(scheme=scheme, width=width, height=740)
        await slowly(page)
        await go(page, "#/history?flow=front-desk")
        await expect(page.locator("va-history-list tbody tr").first).to_be_visible()
        assert await look(page, FAINT) == [], scheme
        assert await look(page, "document.documentElement.scrollWidth") <= width
        await page.locator("va-history-list a.whole").first.click()
        await page.get_by_role("button", name="Play from 0:08").click()
        await expect(page.locator("va-line[aria-current]")).to_be_visible()
        await page.get_by_role("button", name="Pause").click()
        await expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
        assert await look(page, FAINT) == [], scheme
        assert await look(page, "document.documentElement.scrollWidth") <= width
        unnamed = await page.evaluate(
            """() => [...document.querySelectorAll('button, input, select, textarea')]
                .filter((e) => e.checkVisibility())
                .filter((e) => !e.labels?.length && !e.ariaLabel && !e.textContent.trim())
                .map((e) => e.outerHTML)"""
        )
        assert unnamed == []
