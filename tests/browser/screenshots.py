"""Take the pictures of the manual: ``python -m tests.browser.screenshots docs/images``."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import async_playwright

from tests.browser.conftest import CHROMIUM, FLAGS, Desk
from tests.browser.staged import fill_call, fill_floor, fill_presets, serve_parts
from tests.browser.staged_history import fill_history
from tests.browser.staged_pages import Receivers, fill_health, fill_people
from tests.console.fake_directory import FakeDirectory
from tests.console.kit import TOKEN, an_app
from voiceagent.console.server import ConsoleServer
from voiceagent.store import Database

PAGES = (
    ("floor", "#/"),
    ("call", "#/calls/c1"),
    ("history", "#/history"),
    ("history-call", "#/history/call_0"),
    ("health", "#/health"),
    ("users", "#/admin/users"),
    ("keys", "#/admin/keys"),
    ("audit", "#/admin/audit"),
)
SIZES = ((1440, 900), (1024, 768), (360, 740))


async def main(folder: Path, want: str = "") -> None:
    """Write one PNG for every page, size and scheme whose name holds ``want``."""
    directory = FakeDirectory()
    fill_floor(directory)
    fill_call(directory)
    database = Database("sqlite://")
    await database.open()
    await database.run(fill_presets)
    kept = tempfile.TemporaryDirectory()
    await fill_history(database, directory, Path(kept.name))
    await fill_people(database)
    await fill_health(database, directory)
    app = an_app(
        directory, stream_tick_s=0.05, database=database, outgoing=Receivers(), recordings_dir=kept.name
    )
    server = ConsoleServer(app, "127.0.0.1", 0)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        desk = Desk(directory, await server.start(), browser, [])
        for width, height in SIZES:
            for scheme in ("light", "dark"):
                for name, address in PAGES:
                    file = f"console-{name}-{width}-{scheme}.png"
                    if want not in file:
                        continue
                    page = await desk.page(width=width, height=height, scheme=scheme)
                    await serve_parts(page)
                    await page.goto(f"{desk.url}/#token={TOKEN}")
                    await page.locator(".link[data-link=live]").wait_for()
                    await page.evaluate("(to) => { location.hash = to }", address)
                    await page.locator("main > .page:not([hidden])").wait_for()
                    await page.locator("main [aria-busy]").wait_for(state="detached")
                    await page.wait_for_timeout(700)
                    await page.screenshot(path=folder / file)
                    await page.context.close()
        await browser.close()
        print(desk.complaints)
    await server.close()
    await database.close()
    kept.cleanup()


if __name__ == "__main__":
    where = Path(sys.argv[1])
    where.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(where, *sys.argv[2:]))
