"""More than 300 hostile texts in every field that a caller, a model or a tool fills: they stay text."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from tests.console.fake_directory import FakeDirectory, a_call
from voiceagent.console.ports import ResponseView, TranscriptLine

from .conftest import Desk
from .hostile import ALONE, hostile_strings
from .rest import at_call, at_rest
from .staged import a_timeline

pytestmark = [pytest.mark.browser, pytest.mark.loopback, pytest.mark.asyncio(loop_scope="module")]

TEXTS = hostile_strings()
BARRED = (
    "script:not([src^='/static/']), img:not([src^='/static/']), iframe, object, embed, style, base, template,"
    " svg, math, video, marquee"
)


async def test_there_are_enough_of_them() -> None:
    assert len(TEXTS) >= 300


def a_hostile_call(directory: FakeDirectory, call_id: str, texts: Iterator[str], **fields: Any) -> None:
    fields_ = ("caller", "called", "flow", "step", "trunk", "provider", "last_words")
    named = {name: next(texts) for name in fields_}
    odd = {"kind": next(texts), "floor": next(texts), "figures": {next(texts): 1.0}, "tags": (next(texts),)}
    directory.put_call(a_call(call_id, **{**named, **odd, **fields}))


def fill_talk(directory: FakeDirectory, call_id: str) -> None:
    """One line for every text by caller, model and tool; one response for every text."""
    for number, text in enumerate(TEXTS):
        directory.say(call_id, TranscriptLine(float(number), "caller", text, item_id=f"c{number}"))
        cut = TranscriptLine(float(number), "agent", text, f"{text} {text}", f"a{number}", True)
        directory.say(call_id, cut)
        directory.say(call_id, TranscriptLine(float(number), "system", text, item_id=f"t{number}"))
        outcome = {"kind": text, "reason": text, "code": text, "heard_ms": 5} if number % 2 else None
        directory.put_response(
            ResponseView(f"r{number}", call_id, text, text, {text: text}, text, text, 0.0, outcome)
        )


async def nothing_ran(page: Page) -> None:
    assert await page.evaluate("window.pwned") is None
    found = "(barred) => [...document.querySelectorAll(barred)].map((e) => e.outerHTML)"
    assert await page.evaluate(found, BARRED) == []
    handled = """() => [...document.querySelectorAll('*')]
        .filter((e) => [...e.attributes].some((a) => a.name.startsWith('on'))).length"""
    assert await page.evaluate(handled) == 0
    links = await page.evaluate("[...document.querySelectorAll('a')].map((a) => a.getAttribute('href'))")
    assert [link for link in links if link and not link.startswith(("#", "/v1/"))] == []


async def test_on_the_floor(desk: Desk) -> None:
    for number, text in enumerate(TEXTS):
        a_hostile_call(desk.directory, f"f{number}", cycle([text]))
    alerts = [
        {"id": f"a{n}", "kind": text, "since": 1.0, "call_id": f"f{n}", "text": text, "cleared_at": None}
        for n, text in enumerate(TEXTS)
    ]
    page = await desk.page()
    await page.route("**/v1/alerts", lambda route: route.fulfill(json={"alerts": alerts}))
    await page.goto(f"{desk.url}/#token=operator-token-for-tests")
    who = page.locator("va-floor-row .who")
    await expect(who).to_have_count(len(TEXTS))
    await at_rest(page)
    assert sorted(await who.evaluate_all("(all) => all.map((e) => e.textContent)")) == sorted(TEXTS)
    await expect(page.get_by_role("region", name="Alerts")).to_contain_text(f"and {len(TEXTS) - 3} more")
    await expect(page.locator(".row[data-alarm]")).to_have_count(len(TEXTS))
    await nothing_ran(page)
    for number in range(len(TEXTS)):
        desk.directory.end_call(f"f{number}", TEXTS[number])
    await expect(page.get_by_role("list", name="Live calls").locator("va-floor-row")).to_have_count(0)
    await nothing_ran(page)


async def test_in_a_call(desk: Desk) -> None:
    a_hostile_call(desk.directory, "c1", cycle(TEXTS))
    fill_talk(desk.directory, "c1")
    page = await desk.page()
    line = a_timeline()
    line["marks"] = [{"at": 0.1 * n, "kind": text, "text": text} for n, text in enumerate(TEXTS)]
    line["turns"] = [{**line["turns"][0], "response_id": text, "parts": {text: 5}} for text in TEXTS]
    await page.route("**/v1/calls/c1/timeline", lambda route: route.fulfill(json=line))
    wish = [{"id": one, "instructions": one, "metadata": {one: one}, "when": one} for one in TEXTS]
    kept = [{**one, "name": one["id"], "note_only": False} for one in wish]
    await page.route("**/v1/presets", lambda route: route.fulfill(json={"presets": kept}))
    await page.goto(f"{desk.url}/#token=operator-token-for-tests")
    await page.locator(".row").click()
    await at_call(page)
    said = page.locator("va-line .said")
    await expect(said).to_have_count(3 * len(TEXTS))
    words = await said.evaluate_all("(all) => all.map((e) => e.firstChild.textContent)")
    assert words == [text for text in TEXTS for _ in range(3)]
    await expect(page.locator("va-queue-item")).to_have_count(len(TEXTS))
    wishes = await page.locator("va-queue-item .wish").evaluate_all("(all) => all.map((e) => e.textContent)")
    assert sorted(wishes) == sorted(TEXTS)
    await expect(page.get_by_label("Preset").locator("option")).to_have_count(len(TEXTS) + 1)
    await page.get_by_label("Preset").select_option(index=1)
    await expect(page.get_by_label("Instructions")).to_have_value(TEXTS[0])
    await expect(page.locator("va-turns tr")).not_to_have_count(0)
    await nothing_ran(page)


async def test_in_refusals_names_of_operators_and_hand_overs(desk: Desk) -> None:
    desk.directory.put_call(a_call("c1"))
    page = await desk.signed_in()
    await page.get_by_role("link", name="+447700900123").click()
    # What is told from now on is told after the page has read the call.
    await at_call(page)
    text = ""

    async def refuse(route: Route) -> None:
        problem = {"code": "x", "status": 422, "detail": f"No: {text}", "remedy": text, "field": text}
        await route.fulfill(status=422, json=problem)

    await page.route("**/v1/calls/c1/responses", refuse)
    for number in (*range(0, len(TEXTS) - len(ALONE), 20), *range(len(TEXTS) - len(ALONE), len(TEXTS))):
        text = TEXTS[number]
        facts: dict[str, Any] = {"taken_over_by": text, "listeners": [{"name": text, "since": 1.0}]}
        facts["tags"] = tuple(TEXTS[number : number + 10])
        facts["transfer"] = {"target": text, "state": "failed", "status": 486, "reason": text}
        desk.directory.change("c1", **facts, recording={"state": text, "files": [text]})
        await expect(page.locator(".handing")).to_have_text(f"Not handed over to {text}: 486 {text}")
        await page.get_by_label("Instructions").fill("Say it.")
        await page.get_by_role("button", name="Send").click()
        await expect(page.locator(".trigger [data-problem='']")).to_have_text(f"No: {text} {text}")
    await nothing_ran(page)
