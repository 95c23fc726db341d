"""Health: whether calls are taken and why not, alerts, trunks, flows and their reload, deliveries."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.console.fake_directory import FakeDirectory, a_flow_set, a_trunk
from tests.console.kit import VIEWER, an_app
from tests.console.test_deliveries import FakeOutgoing, filled
from voiceagent.console.ports import FlowsRefused
from voiceagent.console.server import ConsoleServer
from voiceagent.store import Database, outbox

from .conftest import Desk
from .rest import go, look
from .test_page import FAINT, HOSTILE

pytestmark = [pytest.mark.browser, pytest.mark.loopback, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module")
async def post(browser: Browser) -> AsyncIterator[Desk]:
    """A desk with a receiver of webhooks, and a delivery of each state."""
    database = Database("sqlite://")
    await database.open()
    await filled(database)
    directory = FakeDirectory()
    app = an_app(directory, stream_tick_s=0.05, database=database, outgoing=FakeOutgoing())
    server = ConsoleServer(app, "127.0.0.1", 0)
    desk = Desk(directory, await server.start(), browser, [], database)
    try:
        yield desk
    finally:
        for context in browser.contexts:
            await context.close()
        await server.close()
        await database.close()
    assert desk.complaints == []


async def opened(desk: Desk, **options: Any) -> Page:
    page = await desk.signed_in(**options)
    await go(page, "#/health")
    await expect(page.locator("va-health h2")).to_be_visible()
    return page


async def test_it_says_why_no_calls_are_taken_and_what_cannot_be_asked(bare: Desk) -> None:
    bare.directory.is_ready = False
    page = await opened(bare)
    verdict = page.locator("va-health-parts")
    await expect(verdict).to_contain_text("takes no new calls")
    await expect(verdict).to_contain_text("It is draining")
    await expect(page.locator("header.top")).to_contain_text("draining")
    await expect(verdict).to_contain_text("1 of 64")
    await expect(page.get_by_role("region", name="Webhooks")).to_contain_text("voiceagent doctor")
    bare.directory.is_ready = True
    await page.get_by_role("link", name="Floor").click()
    await expect(verdict).to_be_hidden()
    await page.get_by_role("link", name="Health").click()
    await expect(verdict).to_contain_text("takes new calls")


async def test_alerts_come_and_go_by_themselves(post: Desk) -> None:
    page = await opened(post)
    alerts = page.get_by_role("region", name="Alerts").last
    await expect(alerts).to_contain_text("Nothing is wrong.")
    raised = post.directory.alert("dead_air", call_id="c1", text="Nothing is heard.", cleared_at=None)
    await expect(alerts).to_contain_text("Nothing is heard.")
    await expect(alerts.get_by_role("link", name="its call")).to_have_attribute("href", "#/calls/c1")
    post.directory.alert(
        "dead_air", id=raised["id"], text="Nothing is heard.", cleared_at=raised["since"] + 65.0
    )
    await expect(alerts).to_contain_text("Nothing is wrong.")
    await alerts.get_by_text("Cleared lately 1").click()
    await expect(alerts).to_contain_text("for 1:05")


async def test_trunks_follow_the_stream(post: Desk) -> None:
    page = await opened(post)
    trunks = page.get_by_role("region", name="Trunks")
    await expect(trunks).to_contain_text("refused")
    await expect(trunks).to_contain_text("403 Forbidden")
    up = a_trunk(up=True, registration="registered", detail="")
    post.directory.trunk_views = [up]
    post.directory.emit("trunk.changed", "", up)
    await expect(trunks).to_contain_text("registered")
    await expect(trunks.get_by_text("403 Forbidden")).to_have_count(0)


async def test_flows_are_read_again_or_refused_with_every_reason(post: Desk) -> None:
    post.directory.flow_set = {**a_flow_set(), "needs_restart": ["media.srtp"]}
    page = await opened(post)
    flows = page.get_by_role("region", name="Flows")
    await expect(flows).to_contain_text("Version 1")
    await expect(flows).to_contain_text("desk when number 2*")
    await expect(flows).to_contain_text("media.srtp")
    await flows.get_by_role("button", name="Reload").click()
    await expect(flows).to_contain_text("Version 2 is in force.")
    post.directory.refuse_flows = FlowsRefused(["desk.py: line 3: no such name", "orders.toml: no steps"])
    await flows.get_by_role("button", name="Reload").click()
    await expect(flows.get_by_role("alert")).to_contain_text("Not taken; the old flows stay.")
    await expect(flows.get_by_role("alert").get_by_role("listitem")).to_have_text(
        ["desk.py: line 3: no such name", "orders.toml: no steps"]
    )
    viewer = await opened(post, token=VIEWER)
    await expect(viewer.get_by_role("region", name="Flows")).to_contain_text("Version 2")
    await expect(viewer.get_by_role("button", name="Reload")).to_have_count(0)


async def test_a_dead_delivery_is_found_and_tried_again(post: Desk) -> None:
    page = await opened(post)
    # What it shows stays until the test has looked: the page looks again by itself every ten seconds.
    await page.evaluate("document.querySelector('va-health').tick = () => {}")
    posts = page.get_by_role("region", name="Webhooks")
    rows = posts.locator("tbody tr")
    await expect(posts).to_contain_text("https://hooks.example.com")
    await expect(rows).to_have_count(4)
    await posts.get_by_label("State of deliveries").select_option("dead")
    await expect(rows).to_have_count(2)
    await posts.get_by_role("button", name="Retry delivery 4").click()
    await expect(rows.first).to_contain_text("There is no endpoint 'old' in the settings any more")
    await posts.get_by_role("button", name="Retry delivery 1").click()
    await expect(rows.last).to_contain_text("waiting")
    await expect(rows.last.get_by_role("button")).to_have_count(0)
    viewer = await opened(post, token=VIEWER)
    await expect(viewer.locator("va-health-deliveries tbody tr")).to_have_count(4)
    await expect(viewer.get_by_role("button", name="Retry delivery 4")).to_have_count(0)


async def test_hostile_words_stay_words_in_health(post: Desk) -> None:
    assert post.database is not None
    text = HOSTILE[0]
    for one in HOSTILE:
        post.directory.alert(one, call_id=one, text=one, cleared_at=None)
    post.directory.trunk_views = [a_trunk(one, detail=one, registration=one) for one in HOSTILE]
    post.directory.flow_set = {
        **a_flow_set(),
        "flows": [{"name": one, "numbers": [one], "source": one} for one in HOSTILE],
        "routes": [{"place": 1, "flow": one, "when": {one: [one]}} for one in HOSTILE],
        "needs_restart": HOSTILE,
        "refused": {"at": 1.0, "by": text, "problems": HOSTILE},
    }

    def fill(c: Any) -> None:
        for n, one in enumerate(HOSTILE):
            outbox.put(c, [one], event_id=f"bad{n}", kind=one, call_id=one, payload="{}", at=99.0)
        for n in range(5, 5 + len(HOSTILE)):
            outbox.failed(c, n, status=None, error=text, at=99.0, retry_at=None)

    await post.database.run(fill)
    page = await opened(post)
    await expect(page.locator("va-health-alerts .told")).to_have_text(HOSTILE[::-1])
    await expect(page.locator("va-health-trunks b")).to_have_text(HOSTILE)
    await expect(page.locator("va-health-flows .entries b")).to_have_text(HOSTILE)
    await expect(page.locator("va-health-deliveries tbody tr").first).to_contain_text(HOSTILE[-1])
    assert await page.evaluate("window.pwned") is None
    assert await page.evaluate("document.querySelectorAll('script:not([src]), iframe, style').length") == 0


async def test_health_is_legible_and_fits_in_both_schemes(post: Desk) -> None:
    post.directory.alert("latency", call_id="", text="The 95th percentile is 3.4 s.", cleared_at=None)
    post.directory.flow_set = {
        **a_flow_set(),
        "needs_restart": ["media.srtp"],
        "refused": {"at": 1.0, "by": "SIGHUP", "problems": ["desk.py: line 3"]},
    }
    for scheme, width in (("light", 1440), ("dark", 360)):
        page = await opened(post, scheme=scheme, width=width, height=740)
        await expect(page.locator("va-health-deliveries tbody tr")).to_have_count(4)
        assert await look(page, FAINT) == [], scheme
        assert await look(page, "document.documentElement.scrollWidth") <= width
