"""How the page stands to whoever uses it: accessible, light, whole at every width, honest in every state."""

from __future__ import annotations

import pytest
from playwright.async_api import Response, expect

from tests.console.fake_directory import a_call
from tests.console.kit import TOKEN
from voiceagent.console.ports import TranscriptLine

from .axe import axe_findings
from .conftest import Desk
from .rest import at_call, at_rest, close_by_escape, go, look, open_call
from .staged import fill_call, fill_floor, serve_parts

pytestmark = [pytest.mark.browser, pytest.mark.loopback, pytest.mark.asyncio(loop_scope="module")]

WEIGHT = 200_000
ARABIC = "\u0623\u064a\u0646 \u0637\u0644\u0628\u064a\u061f"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 1024, 360])
async def test_axe_finds_nothing(desk: Desk, width: int, scheme: str) -> None:
    fill_floor(desk.directory)
    fill_call(desk.directory)
    page = await desk.page(width=width, height=800, scheme=scheme)
    await serve_parts(page)
    await page.goto(desk.url)
    await expect(page.get_by_label("Password")).to_be_visible()
    assert await axe_findings(page) == [], "sign in"
    await page.goto(f"{desk.url}/#token={TOKEN}")
    await expect(page.locator("va-floor-row")).to_have_count(33)
    await expect(page.get_by_role("region", name="Alerts")).to_be_visible()
    assert await axe_findings(page) == [], "floor"
    await open_call(page, "c1")
    await expect(page.locator("va-turns tr")).not_to_have_count(0)
    await page.get_by_text("Deadline, replacing, metadata").click()
    assert await axe_findings(page) == [], "call"
    for name in ("Transfer", "Note", "Hang up"):
        await page.locator(".deeds").get_by_role("button", name=name).click()
        await expect(page.locator("dialog[open]")).to_have_count(1)
        assert await axe_findings(page) == [], name
        await close_by_escape(page)
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    assert await axe_findings(page) == [], "keyboard"
    await close_by_escape(page)
    await open_call(page, "e1")
    await expect(page.locator(".ending")).to_be_visible()
    assert await axe_findings(page) == [], "ended"


async def test_axe_finds_nothing_where_nothing_is(staffed: Desk) -> None:
    page = await staffed.page()
    await page.goto(f"{staffed.url}/#token={TOKEN}")
    await expect(page.get_by_role("heading", name="Make yourself an account")).to_be_visible()
    assert await axe_findings(page) == [], "first run"
    await page.get_by_role("button", name="Not now").click()
    await expect(page.get_by_text("No live calls.")).to_be_visible()
    assert await axe_findings(page) == [], "empty floor"
    await go(page, "#/calls/nobody")
    await expect(page.get_by_text("This call is not known here.")).to_be_visible()
    assert await axe_findings(page) == [], "unknown call"


async def test_the_whole_page_is_light(desk: Desk) -> None:
    """Every file of every page, as it goes over the wire."""
    desk.directory.put_call(a_call("c1"))
    page = await desk.page()
    files: list[Response] = []
    page.on("response", lambda answer: files.append(answer) if "/v1/" not in answer.url else None)
    await page.goto(f"{desk.url}/#token={TOKEN}")
    await page.locator(".row").click()
    await at_call(page)
    await expect(page.get_by_role("button", name="Send")).to_be_visible()
    for name in ("History", "Phone", "Health", "Admin"):
        await page.get_by_role("link", name=name, exact=True).click()
        await expect(page.get_by_role("heading", name=name, level=1)).to_be_attached()
        await at_rest(page)
    await page.get_by_role("link", name="Floor").click()
    await expect(page.get_by_role("button", name="Send")).to_be_hidden()
    sizes = {one.url.rpartition("/")[2]: (await one.request.sizes())["responseBodySize"] for one in files}
    assert "main.js" in sizes
    assert sum(sizes.values()) < WEIGHT, sizes


async def test_words_from_right_to_left_and_without_end_stay_in_their_place(desk: Desk) -> None:
    endless = "W" * 4000
    desk.directory.put_call(a_call("c1", last_words=ARABIC, step=ARABIC, caller=endless))
    desk.directory.say("c1", TranscriptLine(1.0, "caller", ARABIC, item_id="i1"))
    desk.directory.say("c1", TranscriptLine(2.0, "agent", endless, endless + endless, "i2", True))
    for width in (1440, 1024, 360):
        page = await desk.signed_in(width=width)
        assert await look(page, "document.documentElement.scrollWidth") <= width
        await open_call(page, "c1")
        said = page.locator("va-line .said")
        await expect(said).to_have_count(2)
        assert await said.first.evaluate("(e) => getComputedStyle(e).direction") == "rtl"
        assert await said.last.evaluate("(e) => getComputedStyle(e).direction") == "ltr"
        wide = """() => [...document.querySelectorAll('va-frame *')].filter((e) => e.checkVisibility()
            && e.getBoundingClientRect().right > innerWidth + 1
            && !e.closest('.visually-hidden')).map((e) => e.outerHTML.slice(0, 80))"""
        assert await look(page, wide) == [], width
        await page.context.close()


async def test_a_lost_connection_is_said_and_what_was_known_stays(desk: Desk) -> None:
    desk.directory.put_call(a_call("c1"))
    page = await desk.signed_in()
    await expect(page.get_by_role("link", name="+447700900123")).to_be_visible()
    await page.context.set_offline(True)
    desk.directory.finish()
    await expect(page.get_by_text("The connection is lost.")).to_be_visible()
    await expect(page.get_by_role("link", name="+447700900123")).to_be_visible()
    await page.evaluate("location.hash = '#/calls/c1'")
    await expect(page.get_by_text("The call cannot be fetched.")).to_be_visible()
    await page.context.set_offline(False)
    await expect(page.get_by_role("heading", name="+447700900123")).to_be_visible()
    await expect(page.get_by_text("The connection is lost.")).to_be_hidden()
    desk.complaints[:] = [one for one in desk.complaints if "ERR_INTERNET_DISCONNECTED" not in one]


async def test_before_the_calls_are_known_nothing_is_claimed(desk: Desk) -> None:
    page = await desk.page()
    await page.route("**/v1/events", lambda route: route.abort())
    await page.goto(f"{desk.url}/#token={TOKEN}")
    await expect(page.get_by_text("The console does not answer.")).to_be_visible()
    await expect(page.get_by_text("No live calls.")).to_be_hidden()
    await page.unroute("**/v1/events")
    await expect(page.get_by_text("No live calls.")).to_be_visible()
    desk.complaints[:] = [one for one in desk.complaints if "ERR_FAILED" not in one]
