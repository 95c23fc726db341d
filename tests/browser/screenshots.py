"""Take the pictures of the manual: ``python -m tests.browser.screenshots docs/images [part of a name]``."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from playwright.async_api import async_playwright, expect

from tests.browser.conftest import CHROMIUM, FLAGS, Desk
from tests.browser.pictures import shrink
from tests.browser.staged import fill_call, fill_floor, fill_presets, serve_fleet, serve_parts
from tests.browser.staged_history import fill_history
from tests.browser.staged_pages import Receivers, fill_health, fill_people
from tests.console.fake_directory import FakeDirectory, seen_by_the_console
from tests.console.kit import TOKEN
from voiceagent.console.app import create_app
from voiceagent.console.config import ConsoleConfig
from voiceagent.console.server import ConsoleServer
from voiceagent.store import Database


class Picture(NamedTuple):
    """One picture: which page, how wide, by day or by night."""

    name: str
    address: str
    width: int = 1440
    height: int = 900
    scheme: str = "light"


NAME = "nora"
PASSWORD = "correct horse battery"
NARROW = (360, 740)
PICTURES = (
    Picture("first-run", "", 1024, 640),
    Picture("floor", "#/"),
    Picture("floor-dark", "#/", scheme="dark"),
    Picture("floor-narrow", "#/", *NARROW),
    Picture("call", "#/calls/c1"),
    Picture("call-dark", "#/calls/c1", scheme="dark"),
    Picture("call-narrow", "#/calls/c1", *NARROW, "dark"),
    Picture("history", "#/history"),
    Picture("history-call", "#/history/call_0"),
    Picture("health", "#/health"),
    Picture("users", "#/admin/users"),
    Picture("keys", "#/admin/keys"),
    Picture("audit", "#/admin/audit"),
    Picture("erasure", "#/admin/erasure", 1024, 640),
    Picture("phone", "#/phone", 1024, 768),
)


async def take(desk: Desk, picture: Picture) -> bytes | None:
    """Return a PNG of the page; None where the console does not have it."""
    page = await desk.page(width=picture.width, height=picture.height, scheme=picture.scheme)
    await serve_parts(page)
    if picture.name == "health":
        await serve_fleet(page)
    if not picture.address:
        await page.goto(f"{desk.url}/#token={TOKEN}")
    else:
        await page.goto(desk.url)
        await page.get_by_label("Name").fill(NAME)
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await page.locator(".link[data-link=live]").wait_for()
        await page.evaluate("(to) => { location.hash = to }", picture.address)
        await page.locator("main > :is(.page, .missing):not([hidden])").first.wait_for()
        await expect(page.locator("main [aria-busy]")).to_have_count(0)
    await page.mouse.move(0, 0)
    await page.wait_for_timeout(1500)
    png = None if await page.locator(".missing:visible").count() else await page.screenshot()
    await page.context.close()
    return png


async def main(folder: Path, wanted: str, scratch: Path) -> None:
    """Write one PNG for every picture whose name holds ``wanted``."""
    directory = FakeDirectory()
    fill_floor(directory)
    fill_call(directory)
    database = Database("sqlite://")
    await database.open()
    await database.run(fill_presets)
    await fill_history(database, directory, scratch)
    await fill_health(database, directory)
    config = ConsoleConfig(
        token=TOKEN, token_is_first_run=True, stream_tick_s=0.05, recordings_dir=str(scratch)
    )
    server = ConsoleServer(
        create_app(seen_by_the_console(directory), config, database=database, outgoing=Receivers()),
        "127.0.0.1",
        0,
    )
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        desk = Desk(directory, await server.start(), browser, [], database)
        staffed = False
        for picture in PICTURES:
            if picture.address and not staffed:
                await fill_people(database)
                await desk.make_user(NAME, PASSWORD, "admin")
                staffed = True
            if wanted in picture.name and (png := await take(desk, picture)) is not None:
                (folder / f"console-{picture.name}.png").write_bytes(await asyncio.to_thread(shrink, png))
        await browser.close()
    await server.close()
    await database.close()
    print(*desk.complaints, sep="\n")


if __name__ == "__main__":
    where = Path(sys.argv[1])
    where.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        asyncio.run(main(where, sys.argv[2] if len(sys.argv) > 2 else "", Path(scratch)))
