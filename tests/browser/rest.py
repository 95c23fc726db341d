"""Waiting until a page has come to rest: whatever was asked is answered, whatever was told is drawn.

A test that changes something behind the page, or looks at the page once, does so at rest. Before that, an
event can come between two answers for which the page still waits, and a look can find what stood there
before.
"""

from __future__ import annotations

import asyncio
from typing import Any

from playwright.async_api import Page, Route, expect

PATIENCE_MS = 30_000
"""How long anything may take that takes no time of its own; only a failure waits for it."""

COUNT_QUESTIONS = """(() => {
  const ask = window.fetch;
  window.asking = 0;
  window.fetch = async (...given) => {
    window.asking += 1;
    const done = () => setTimeout(() => { window.asking -= 1; });
    try {
      const answer = await ask(...given);
      // Whoever asked has read it when a copy of it can be read, but for a task or two.
      answer.clone().arrayBuffer().then(done, done);
      return answer;
    } catch (error) {
      done();
      throw error;
    }
  };
})()"""
"""Put into every page before its own scripts: counts the questions without an answer."""

_AT_REST = """async ([patience, looks]) => {
  const busy = () => {
    const { store, frame } = document.querySelector("va-console") ?? {};
    if (window.asking > 0) return `${window.asking} questions are not answered`;
    const styles = [...document.querySelectorAll("link[rel=stylesheet]")];
    if (styles.some((one) => !one.sheet)) return "a style is fetched";
    if (document.querySelector("[aria-busy]")) return "a part of the page waits";
    if (store && frame) {
      const page = frame.pages?.get(frame.current);
      if (!page && !frame.pages?.get(`missing ${frame.current}`)) return "the page is fetched";
      if (store.link !== "live" || !store.known) return "the calls are not told yet";
      if (store.openId && (store.loading || store.missed)) return "the call is read";
      const call = store.detail && page?.page;
      if (call && !(call.listening && call.timeline)) return "a part is fetched";
      if (store.told) return "something is not drawn yet";
    }
    const moves = (one) => one.playState === "running" && one.transitionProperty !== "transform";
    return looks && document.getAnimations().some(moves) ? "something moves" : "";
  };
  const until = performance.now() + patience;
  for (let calm = 0; calm < 3; ) {
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    const why = busy();
    calm = why ? 0 : calm + 1;
    if (why && performance.now() > until) throw new Error(`The page does not come to rest: ${why}.`);
  }
}"""


async def at_rest(page: Page, *, looks: bool = False) -> None:
    """Wait until ``page`` waits for nothing; with ``looks`` until its colours have settled, too.

    Raises:
        playwright.async_api.Error: it did not come to rest, and why.
    """
    await page.evaluate(_AT_REST, [PATIENCE_MS, looks])


async def go(page: Page, address: str) -> None:
    """Go to ``address`` (``#/…``) and wait until the page is there, and at rest."""
    await page.evaluate(
        """(to) => new Promise((done) => {
            if (location.hash === to) return done();
            addEventListener("hashchange", done, { once: true });
            location.hash = to;
        })""",
        address,
    )
    await at_rest(page)


async def open_call(page: Page, call_id: str) -> None:
    """Have ``page`` show a live call, and wait until it has read it: what happens now is told once."""
    await go(page, f"#/calls/{call_id}")
    await at_call(page)


async def look(page: Page, script: str) -> Any:
    """Return what ``script`` finds on ``page`` with no pointer over it, when its colours have settled."""
    await page.mouse.move(0, 0)
    await at_rest(page, looks=True)
    return await page.evaluate(script)


async def at_call(page: Page) -> None:
    """Wait until ``page``, on which somebody has just picked a call, has read it."""
    await expect(page.locator("h2.caller")).to_be_visible()
    await at_rest(page)


async def close_by_escape(page: Page) -> None:
    """Close the open dialog, and wait until it is gone."""
    await page.keyboard.press("Escape")
    await expect(page.locator("dialog[open]")).to_have_count(0)


async def hold_questions(page: Page, *addresses: str) -> asyncio.Event:
    """Let no question to ``addresses`` out before the event that is returned is set."""
    gate = asyncio.Event()

    async def later(route: Route) -> None:
        await gate.wait()
        await route.continue_()

    for address in addresses:
        await page.route(address, later)
    return gate


async def hold_answers(page: Page, *addresses: str) -> asyncio.Event:
    """Ask ``addresses`` at once, but let no answer of theirs in before the event that is returned is set."""
    gate = asyncio.Event()

    async def late(route: Route) -> None:
        answer = await route.fetch()
        await gate.wait()
        await route.fulfill(response=answer)

    for address in addresses:
        await page.route(address, late)
    return gate
