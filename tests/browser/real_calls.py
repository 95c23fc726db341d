"""A whole service with a phone that calls it, and an operator who has signed in by name before a browser."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from tests.browser.conftest import Desk
from tests.browser.rest import PATIENCE_MS, at_rest
from tests.kit.bells import BellVoice, lines_heard
from tests.kit.service import operator, service
from voiceagent.app.service import Service
from voiceagent.engine import run as engine
from voiceagent.engine.config import EngineConfig
from voiceagent.engine.fakes import CannedRecogniser, FakeParts
from voiceagent.engine.ports import Expectation, Hypothesis
from voiceagent.phone.phone import Phone, PhoneCall

NAME, PASSWORD = "olive", "correct horse battery"
COUNT = "One two three four five six seven eight nine ten."
FLOW = f"""
from tests.browser.real_calls import STRANGE
from voiceagent.ivr import Call, flow, tool

@flow("talker", numbers=["100"])
async def talker(call: Call) -> None:
    await call.record()
    for _ in range(100):
        await call.say("{COUNT}")

@flow("reader", numbers=["200"])
async def reader(call: Call) -> None:
    await call.say("{" ".join([COUNT] * 12)}")
    await talker(call)

@tool(timeout_s=5)
async def weather() -> dict[str, str]:
    \"\"\"Look up the weather.\"\"\"
    return {{"result": STRANGE["tool"]}}

@flow("strange", numbers=["*"])
async def strange(call: Call) -> None:
    call.step(STRANGE["step"])
    await call.respond("Look up the weather and tell the caller.", tools=[weather])
    for text in STRANGE["model"]:
        await call.say(text)
    await call.converse("Answer the caller.")
"""
STRANGE: dict[str, object] = {"tool": "", "step": "", "model": ()}
"""What the strange flow says; set before it is called."""


class ScriptedEar(CannedRecogniser):
    """Hears whatever the test has put into ``hears``, one text for each turn of the caller."""

    def __init__(self) -> None:
        super().__init__()
        self.hears: deque[str] = deque()

    async def transcribe(self, pcm: bytes, rate: int, expect: Expectation) -> Hypothesis:
        """Return the next text; empty when there is none."""
        return Hypothesis(self.hears.popleft() if self.hears else "")


@dataclass
class House:
    """The running service, and who is in front of it."""

    running: Service
    browser: Browser
    ear: ScriptedEar
    complaints: list[str] = field(default_factory=list[str])

    @property
    def url(self) -> str:
        """The console's address."""
        assert self.running.addresses is not None
        return self.running.addresses.console or ""

    async def signed_in(self, *, url: str = "", scheme: str = "light", script: str = "") -> Page:
        """Open the page and sign in by name and password; ``script`` runs before any of the page's own."""
        url = url or self.url
        page = await Desk(None, url, self.browser, self.complaints).page(scheme=scheme)  # type: ignore[arg-type]
        if script:
            await page.add_init_script(script)
        await page.context.grant_permissions(["microphone"])
        await page.goto(url)
        await page.get_by_label("Name").fill(NAME)
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await page.locator(".link[data-link=live]").wait_for()
        await at_rest(page)
        return page

    @asynccontextmanager
    async def a_call(
        self, number: str = "100", *, user: str = "caller"
    ) -> AsyncIterator[tuple[PhoneCall, str]]:
        """Call the service by SIP; yield the phone's side and the call's id."""
        assert self.running.addresses is not None
        before = set(self.running.directory.live)
        async with Phone(user=user) as phone:
            call = phone.dial(f"sip:{number}@{self.running.addresses.sip}")
            await call.answered()
            (live,) = set(self.running.directory.live) - before
            try:
                yield call, live.id
            finally:
                call.hang_up()
                await call.over()


@asynccontextmanager
async def a_house(browser: Browser, folder: Path) -> AsyncIterator[House]:
    """Start the service, with one admin who signs in by name."""
    flows = folder / "flows.py"
    flows.write_text(FLOW, encoding="utf-8")
    ear = ScriptedEar()

    def load(config: EngineConfig) -> FakeParts:
        return FakeParts(recogniser=ear, voice=BellVoice())

    with pytest.MonkeyPatch.context() as patch:
        # Where it is used: the module that defines it may have been asked for it long ago.
        patch.setattr(engine, "load_parts", load)
        settings = {"flows": [str(flows)], "recordings_dir": str(folder / "recordings")}
        async with service(folder, **settings) as running:
            async with operator(running) as client:
                user = {"name": NAME, "role": "admin", "password": PASSWORD}
                made = await client.post("/v1/users", json=user)
                assert made.status_code == 201, made.text
            yield House(running, browser, ear)


async def until_heard(call: PhoneCall, *pitches: int) -> list[tuple[int, int]]:
    """Wait until the last lines that ``call`` heard were of these pitches; return all of them."""
    lines: list[tuple[int, int]] = []
    try:
        async with asyncio.timeout(PATIENCE_MS / 1000):
            while tuple(pitch for pitch, _ in lines)[-len(pitches) :] != pitches:
                await asyncio.sleep(0.1)
                lines = lines_heard(call)
    except TimeoutError:
        raise AssertionError(f"heard {lines}, which do not end with {pitches}") from None
    return lines


async def wish(page: Page, instructions: str, when: str) -> None:
    """Fill the form; whoever calls sends it."""
    await page.get_by_label("Instructions").fill(instructions)
    await page.get_by_label("When").select_option(when)
