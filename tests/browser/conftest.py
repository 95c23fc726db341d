"""A console on a loopback port and a Chromium that looks at it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Playwright, async_playwright, expect

from tests.console.fake_directory import FakeDirectory, seen_by_the_console
from tests.console.kit import TOKEN, VIEWER, an_app
from voiceagent.console.app import create_app
from voiceagent.console.config import ConsoleConfig
from voiceagent.console.server import ConsoleServer
from voiceagent.store import Database, users

from .rest import COUNT_QUESTIONS, PATIENCE_MS, at_rest

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


expect.set_options(timeout=PATIENCE_MS)


@dataclass
class Desk:
    """An operator's place: the calls behind the console, its address and the browser before it."""

    directory: FakeDirectory
    url: str
    browser: Browser
    complaints: list[str]
    database: Database | None = None

    async def make_user(self, name: str, password: str, role: str, *, disabled: bool = False) -> None:
        """Make somebody who may sign in by name."""
        assert self.database is not None
        hashed = users.hash_password(password)
        made = await self.database.run(lambda c: users.add_user(c, name, role, hashed))
        if disabled:
            await self.database.run(lambda c: users.change_user(c, made.id, disabled=True))

    async def status_with(self, key: str, path: str) -> int:
        """Return the status that a program with ``key`` gets."""
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as program:
            return (await program.get(self.url + path)).status_code

    async def page(self, *, width: int = 1280, height: int = 800, scheme: str = "light") -> Page:
        """Open a page that notes every script error, refusal of the content policy, and outside request."""
        context = await self.browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        await context.add_init_script(COUNT_QUESTIONS)
        await context.add_init_script(
            "document.addEventListener('securitypolicyviolation',"
            " (event) => console.warn('policy', event.violatedDirective, event.blockedURI))"
        )
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on(
            "console",
            lambda message: (
                self.complaints.append(message.text)
                if message.type in ("error", "warning") and "status of 4" not in message.text
                else None
            ),
        )
        page.on("request", lambda request: self._outside(request.url))
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))
        return page

    async def signed_in(self, *, token: str = TOKEN, **options: object) -> Page:
        """Open a page through the printed address; it has read all that it shows."""
        page = await self.page(**options)  # type: ignore[arg-type]
        await page.goto(f"{self.url}/#token={token}")
        await page.locator(".link[data-link=live]").wait_for()
        await at_rest(page)
        return page

    def _outside(self, url: str) -> None:
        if not url.startswith((self.url, "data:", "about:")):
            self.complaints.append(f"outside request: {url}")


async def a_chromium(playwright: Playwright, *flags: str) -> Browser:
    """Start the browser, with ``flags`` beside those that every test of the page has."""
    started = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags], timeout=90_000)
    return await started


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("NO CHROMIUM FOUND: the console's page is not tested on this machine")
    async with async_playwright() as playwright:
        browser = await a_chromium(playwright)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def desk(browser: Browser) -> AsyncIterator[Desk]:
    directory = FakeDirectory()
    database = Database("sqlite://")
    await database.open()
    server = ConsoleServer(an_app(directory, stream_tick_s=0.05, database=database), "127.0.0.1", 0)
    desk = Desk(directory, await server.start(), browser, [])
    try:
        yield desk
    finally:
        for context in browser.contexts:
            await context.close()
        await server.close()
        await database.close()
    assert desk.complaints == []


@pytest_asyncio.fixture(loop_scope="module")
async def staffed(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    """A desk with a database of users, opened for the first time: only the first run's token lets one in."""
    monkeypatch.setattr(users, "COST", {"time_cost": 1, "memory_cost": 64, "parallelism": 1})
    database = Database("sqlite://")
    await database.open()
    directory = FakeDirectory()
    config = ConsoleConfig(token=TOKEN, token_is_first_run=True, stream_tick_s=0.05)
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


@pytest_asyncio.fixture(loop_scope="module")
async def bare(browser: Browser) -> AsyncIterator[Desk]:
    """A desk whose database cannot be asked; what the browser notes of that is no complaint."""
    directory = FakeDirectory()
    server = ConsoleServer(an_app(directory, stream_tick_s=0.05), "127.0.0.1", 0)
    desk = Desk(directory, await server.start(), browser, [])
    try:
        yield desk
    finally:
        for context in browser.contexts:
            await context.close()
        await server.close()
    assert [one for one in desk.complaints if "status of 503" not in one] == []


__all__ = ["VIEWER", "Desk"]
