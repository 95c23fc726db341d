"""The page of one node of a fleet: whose call it is, which nodes there are, and that the registry is away."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.kit.fleet import FakeFleet
from tests.kit.fleet_nodes import Member
from voiceagent.console.server import ConsoleServer
from voiceagent.store import Database

from .axe import axe_findings
from .conftest import Desk
from .rest import go

pytestmark = [pytest.mark.browser, pytest.mark.loopback, pytest.mark.asyncio(loop_scope="module")]


class Fleet:
    """Node ``a`` with its page, and node ``b``."""

    def __init__(self, fleet: FakeFleet, a: Member, b: Member, desk: Desk) -> None:
        self.fleet, self.a, self.b, self.desk = fleet, a, b, desk


@pytest_asyncio.fixture(loop_scope="module")
async def two(browser: Browser) -> AsyncIterator[Fleet]:
    fleet = FakeFleet()
    database = Database("sqlite://")
    await database.open()
    a, b = Member(fleet, "a", stream_tick_s=0.05, database=database), Member(fleet, "b")
    for one in (a, b):
        await one.join()
    server = ConsoleServer(a.app, "127.0.0.1", 0)
    desk = Desk(a.local, await server.start(), browser, [], database)
    try:
        yield Fleet(fleet, a, b, desk)
    finally:
        for context in browser.contexts:
            await context.close()
        await server.close()
        await database.close()
    assert desk.complaints == []


async def test_a_column_tells_the_node_where_there_are_several(two: Fleet) -> None:
    two.a.call("c1")
    page = await two.desk.signed_in()
    rows = page.locator("va-floor-row")
    await expect(rows).to_have_count(1)
    await expect(rows.locator(".node")).to_be_hidden()
    two.b.call("c2", caller="+447700900555", started_at=1_600_000_000.0)
    await expect(rows).to_have_count(2)
    await expect(page.locator(".heads .node")).to_be_visible()
    await expect(rows.locator(".node")).to_have_text(["a", "b"])
    two.b.local.change("c2", step="menu")
    await expect(rows.last.locator(".step")).to_contain_text("menu")
    assert await axe_findings(page) == []
    await page.set_viewport_size({"width": 360, "height": 640})
    await expect(rows.first.locator(".node")).to_be_hidden()


async def test_the_page_says_that_the_registry_is_away_and_heals_by_itself(two: Fleet) -> None:
    two.a.call("c1")
    two.b.call("c2", started_at=1_600_000_000.0)
    page = await two.desk.signed_in()
    rows = page.locator("va-floor-row")
    await expect(rows).to_have_count(2)
    banner = page.get_by_text("Registry stale")
    await expect(banner).to_have_count(0)
    two.fleet.go_down()
    await expect(banner).to_be_visible()
    await expect(rows.last.locator("a[data-stale]")).to_have_count(1)
    two.a.local.change("c1", step="alone")
    await expect(rows.first.locator(".step")).to_contain_text("alone")
    two.fleet.come_back()
    await expect(banner).to_have_count(0)
    await expect(page.locator("a[data-stale]")).to_have_count(0)


async def test_the_health_page_lists_the_nodes(two: Fleet) -> None:
    page = await two.desk.signed_in()
    await go(page, "#/health")
    nodes = page.get_by_role("region", name="Nodes")
    await expect(nodes.locator("li")).to_have_count(2)
    await expect(nodes.locator("b")).to_have_text(["a (this one)", "b"])
    await expect(nodes.locator("li").last).to_contain_text("of 10 calls")


async def test_a_node_that_is_alone_has_no_list_of_nodes(desk: Desk) -> None:
    page = await desk.signed_in()
    await go(page, "#/health")
    await expect(page.locator("va-health-parts")).to_contain_text("takes new calls")
    await expect(page.get_by_role("region", name="Nodes")).to_have_count(0)
