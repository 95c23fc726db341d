"""Coming in: the first admin, name and password, a key, and the pages that one is offered."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from tests.console.fake_directory import a_call
from tests.console.kit import TOKEN

from .conftest import VIEWER, Desk
from .rest import hold_questions

pytestmark = [pytest.mark.browser, pytest.mark.loopback, pytest.mark.asyncio(loop_scope="module")]

PASSWORD = "correct horse battery"


async def sign_in(page: Page, name: str, password: str) -> None:
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()


async def test_the_first_run_makes_an_admin_who_comes_back_by_name(staffed: Desk) -> None:
    page = await staffed.page()
    await page.goto(f"{staffed.url}/#token={TOKEN}")
    await expect(page.get_by_role("heading", name="Make yourself an account")).to_be_visible()
    await expect(page).not_to_have_url(re.compile("token"))
    await page.get_by_label("Name").fill("ann")
    await page.get_by_label("Password").fill("too short")
    await page.get_by_role("button", name="Make the account").click()
    await expect(page.locator("[data-problem=password]")).to_contain_text("12")
    await expect(page.get_by_label("Password")).to_have_attribute("aria-invalid", "true")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_label("Show it").check()
    await expect(page.get_by_label("Password")).to_have_attribute("type", "text")
    await page.get_by_role("button", name="Make the account").click()
    await page.locator(".link[data-link=live]").wait_for()
    await expect(page.locator(".who-am-i")).to_have_text("ann admin")
    assert PASSWORD not in await page.evaluate(
        "document.documentElement.outerHTML + JSON.stringify(localStorage)"
    )

    await page.get_by_role("button", name="Sign out").click()
    await sign_in(page, "ann", "not the password")
    await expect(page.get_by_role("alert")).to_have_text("That is not the name and password of a user here.")
    await sign_in(page, "ann", PASSWORD)
    await page.locator(".link[data-link=live]").wait_for()
    await page.reload()
    await expect(page.locator(".who-am-i")).to_have_text("ann admin")

    stranger = await staffed.page()
    await stranger.goto(f"{staffed.url}/#token={TOKEN}")
    await expect(stranger.get_by_role("button", name="Sign in")).to_be_visible()


async def test_the_account_can_wait(staffed: Desk) -> None:
    page = await staffed.page()
    await page.goto(f"{staffed.url}/#token={TOKEN}")
    await page.get_by_role("button", name="Not now, go on with the token").click()
    await page.locator(".link[data-link=live]").wait_for()
    await expect(page.locator(".who-am-i")).to_have_text("first run admin")


async def test_one_is_offered_the_pages_that_one_may_use(desk: Desk) -> None:
    pages = (await desk.signed_in()).get_by_role("navigation", name="Pages")
    await expect(pages.get_by_role("link")).to_have_text(["Floor", "History", "Phone", "Health", "Admin"])
    viewer = (await desk.signed_in(token=VIEWER)).get_by_role("navigation", name="Pages")
    await expect(viewer.get_by_role("link")).to_have_text(["Floor", "History", "Health"])


async def test_a_page_that_is_not_there_is_said_and_the_floor_goes_on(desk: Desk) -> None:
    page = await desk.signed_in()
    await page.route("**/static/health.js", lambda route: route.abort())
    await page.evaluate("location.hash = '#/health'")
    await expect(page.get_by_text("Health cannot be loaded.")).to_be_visible()
    await expect(page.get_by_role("link", name="Health")).to_have_attribute("aria-current", "page")
    await page.get_by_role("link", name="Floor").click()
    await expect(page.get_by_text("Health cannot be loaded.")).to_be_hidden()
    await expect(page.get_by_text("No live calls.")).to_be_visible()
    # The browser notes the fetch that was cut off; nothing else may be said.
    desk.complaints[:] = [one for one in desk.complaints if "net::ERR_FAILED" not in one]


async def test_what_is_missing_stays_said_when_another_page_comes_late(desk: Desk) -> None:
    page = await desk.page()
    gate = await hold_questions(page, "**/static/floor-page.js")
    await page.route("**/static/health.js", lambda route: route.abort())
    await page.goto(f"{desk.url}/#token={TOKEN}")
    await page.locator(".link[data-link=live]").wait_for()
    await page.evaluate("location.hash = '#/health'")
    await expect(page.get_by_text("Health cannot be loaded.")).to_be_visible()
    gate.set()
    await page.locator("va-floor-page").wait_for(state="attached")
    await expect(page.get_by_text("Health cannot be loaded.")).to_be_visible()
    desk.complaints[:] = [one for one in desk.complaints if "net::ERR_FAILED" not in one]


async def test_the_last_address_counts_however_slowly_the_pages_come(desk: Desk) -> None:
    desk.directory.put_call(a_call("c1"))
    page = await desk.page()
    gate = await hold_questions(page, "**/static/floor-page.js")
    await page.goto(f"{desk.url}/#token={TOKEN}")
    await page.locator(".link[data-link=live]").wait_for()
    for address in ("#/calls/c1", "#/health", "#/", "#/calls/c1"):
        await page.evaluate("(to) => { location.hash = to }", address)
    gate.set()
    await expect(page.get_by_role("heading", name="+447700900123")).to_be_visible()
    await expect(page.get_by_role("link", name="Floor")).to_have_attribute("aria-current", "page")
    await expect(page.locator("main > :not([hidden])")).to_have_count(1)
