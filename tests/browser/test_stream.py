"""What the live stream tells while the page still waits for an answer."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Route, expect

from tests.console.fake_directory import a_call, a_trunk
from tests.console.kit import TOKEN

from .conftest import Desk

pytestmark = [pytest.mark.browser, pytest.mark.loopback, pytest.mark.asyncio(loop_scope="module")]


async def test_what_is_told_while_a_list_is_under_way_is_newer_than_the_list(desk: Desk) -> None:
    page = await desk.page()
    gate = asyncio.Event()
    asked = {"alerts": asyncio.Event(), "trunks": asyncio.Event()}

    async def late(route: Route) -> None:
        answer = await route.fetch()
        asked[route.request.url.rpartition("/")[2]].set()
        await gate.wait()
        await route.fulfill(response=answer)

    stale = desk.directory.alert("latency", text="Answers are late.")
    await page.route("**/v1/alerts", late)
    await page.route("**/v1/trunks", late)
    await page.goto(f"{desk.url}/#token={TOKEN}")
    await page.locator(".link[data-link=live]").wait_for()
    for one in asked.values():
        await one.wait()
    desk.directory.alert("latency", id=stale["id"], cleared_at=1_800_000_001.0)
    desk.directory.alert("dead_air", text="Nobody speaks.")
    up = a_trunk(up=True, registration="registered", detail="")
    desk.directory.trunk_views = [up]
    desk.directory.emit("trunk.changed", "", up)
    # The stream has an order: when the page shows this call, it has been told all that was before.
    desk.directory.put_call(a_call("c1"))
    await expect(page.get_by_role("link", name="+447700900123")).to_be_visible()
    gate.set()
    await expect(page.get_by_role("listitem").filter(has_text="carrier")).to_contain_text("registered")
    alerts = page.get_by_role("region", name="Alerts")
    await expect(alerts).to_contain_text("Nobody speaks.")
    await expect(alerts).not_to_contain_text("Answers are late.")


STORE = """
async () => {
  const { Store } = await import("/static/store.js");
  const asked = [];
  const never = () => new Promise(() => {});
  const api = { alerts: () => new Promise((answer) => asked.push(answer)), trunks: never };
  const store = new Store(api, { rights: [] });
  const answer = async (n, ids) => {
    asked[n]({ alerts: ids.map((id) => ({ id })) });
    await new Promise((done) => setTimeout(done));
    return [[...store.alerts.keys()].join(" "), store.link];
  };
  store.take("snapshot", { calls: [] });
  store.take("alert.raised", { data: { id: "gone" } });
  store.take("bye", {});
  store.take("snapshot", { calls: [] });
  store.take("alert.raised", { data: { id: "new" } });
  store.take("bye", {});
  return [await answer(1, ["late"]), await answer(0, ["old"])];
}
"""


async def test_an_overtaken_list_is_not_shown_and_no_answer_makes_a_lost_stream_live(desk: Desk) -> None:
    page = await desk.signed_in()
    assert await page.evaluate(STORE) == [["late new", "lost"], ["late new", "lost"]]
