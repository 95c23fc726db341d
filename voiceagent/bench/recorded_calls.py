"""Real loopback calls of many kinds, recorded to be replayed: several at once, so that timers are late.

Callers speak, barge in, type ahead and hang up in mid-sentence; operators trigger, hold and hand over; the
provider's sockets are cut; both kinds of legs, both directions.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voiceagent.app.service import Service
from voiceagent.console.ports import Act, DialWish, Trigger
from voiceagent.engine.config import EngineConfig
from voiceagent.engine.hosted_webhook import new_webhook_secret
from voiceagent.engine.run import start_engine
from voiceagent.errors import CallEnded, RequestRefused, SipError
from voiceagent.phone.phone import Phone, PhoneCall
from voiceagent.phone.words import spoken
from voiceagent.settings import bare_settings

FLOWS = "recorded_flows.py"
CUTS = "cut after_ms=1500 nth=2 close=1006"
"""How the sockets of the worse provider die: in the second answer of each."""
LIMIT_S = 60.0
"""A call that takes longer is hung up by its caller."""


@dataclass
class Scene:
    """Where a call happens."""

    running: Service
    phone: Phone
    ben: Phone
    """Somebody who picks up."""
    hosted: bool
    rng: random.Random

    def dial(self, user: str) -> PhoneCall:
        """Call the service, or its provider."""
        addresses = self.running.addresses
        assert addresses is not None
        return self.phone.dial(f"sip:{user}@{addresses.hosted_sip if self.hosted else addresses.sip}")

    async def live(self, count: int = 0) -> str:
        """Return the id of the newest call."""
        while not self.running.directory.live:  # noqa: ASYNC110 - it comes over a socket
            await asyncio.sleep(0.02)
        return self.running.directory.live[-1].id


async def _shopper(scene: Scene) -> None:
    """Says what is offered, talks over the long answer, types an order number, is told it, says no more."""
    call = scene.dial("100")
    hours = await spoken(call, "opening hours")
    interruption = await spoken(call, "thank you, I know that")
    await call.answered()
    await call.until_answered_in_words(quiet_s=0.6)
    await call.play(hours)
    await call.until_answered_in_words(quiet_s=0.7)
    await call.press("4")
    await call.until_speaking()
    await call.wait(scene.rng.uniform(0.5, 2.0))
    await call.play(interruption)
    await call.until_answered_in_words(quiet_s=0.7)
    await call.press("3")
    await call.wait(scene.rng.uniform(0.2, 1.5))
    await call.press("4711#")
    await call.until_answered_in_words(quiet_s=0.8)
    await call.press("2")
    await call.over(20)


async def _impatient(scene: Scene) -> None:
    """Types ahead, holds us, comes back, and hangs up in mid-sentence."""
    call = scene.dial("100")
    await call.answered()
    await call.wait(scene.rng.uniform(0.05, 0.8))
    await call.press("1")
    await call.until_speaking()
    if not scene.hosted:
        call.hold(True)
        await call.wait(scene.rng.uniform(0.4, 1.2))
        call.hold(False)
    await call.press("4")
    await call.wait(scene.rng.uniform(0.3, 2.5))
    call.hang_up()


async def _silent(scene: Scene) -> None:
    """Says nothing until the flow gives up."""
    call = scene.dial("100")
    await call.answered()
    await call.over(50)


async def _operated(scene: Scene) -> None:
    """An operator speaks, takes a wish back, holds, resumes, and ends it."""
    call = scene.dial("200")
    call_id = await scene.live()
    desk = scene.running.directory
    await call.answered()
    await call.until_speaking()
    for count in range(3):
        with contextlib.suppress(RequestRefused, CallEnded):
            view = desk.trigger(
                call_id,
                Trigger(instructions=f'Say: "News number {count}."', metadata={"n": str(count)}),
                idempotency_key=None,
                operator="bench",
            )
            if count == 1:
                desk.withdraw(call_id, view.id, operator="bench")
        await call.wait(scene.rng.uniform(0.1, 1.2))
    if not scene.hosted:
        for what in ("hold", "resume"):
            with contextlib.suppress(RequestRefused, CallEnded):
                await desk.act(call_id, Act(what), idempotency_key=None, operator="bench")
            await call.wait(scene.rng.uniform(0.3, 0.9))
        with contextlib.suppress(RequestRefused, CallEnded):
            await desk.act(call_id, Act("send_digits", digits="12"), idempotency_key=None, operator="bench")
    await call.wait(scene.rng.uniform(0.2, 1.5))
    with contextlib.suppress(CallEnded):
        await desk.hang_up(call_id, operator="bench")
    await call.over(10)


async def _handed(scene: Scene) -> None:
    """Is handed to somebody else after a word with them, or to nobody."""
    port = scene.ben.address.port if scene.rng.random() < 0.7 else 9
    call = scene.dial(str(port))
    await call.answered()
    with contextlib.suppress(TimeoutError):
        await call.over(30)


async def _called(scene: Scene) -> None:
    """Is called by us, and says yes by a key."""
    wish = DialWish(
        to=f"sip:ben@127.0.0.1:{scene.ben.address.port}", flow="caller", consent_reference="bench"
    )
    before = len(scene.ben.received)
    view = scene.running.directory.dial(wish, idempotency_key=None, operator="bench")
    await asyncio.sleep(1.0)
    for call in scene.ben.received[before:]:
        with contextlib.suppress(TimeoutError):
            await call.until_answered_in_words(timeout_s=8)
            await call.press("1")
    while view.id in {one.id for one in scene.running.directory.live}:  # noqa: ASYNC110
        await asyncio.sleep(0.1)


Part = Callable[[Scene], Awaitable[None]]
DIRECT: tuple[Part, ...] = (_shopper, _impatient, _operated, _silent, _handed, _called)
HOSTED: tuple[Part, ...] = (_shopper, _impatient, _operated)
CUT: tuple[Part, ...] = (_shopper, _operated)
"""Parts that are played against a provider whose sockets die."""


async def record(folder: Path, calls: int, *, at_once: int = 4, seed: int = 1) -> None:
    """Make that many calls, and return the folder; some are hosted, some meet a dying provider."""
    shares = _shares(calls)
    for name, parts in (("direct", DIRECT), ("hosted", HOSTED), ("cut", CUT)):
        if shares[name]:
            async with _scene(folder / name, name, random.Random(f"{seed} {name}")) as scene:
                await _play(scene, parts, shares[name], at_once)


def _shares(calls: int) -> dict[str, int]:
    hosted, cut = calls // 4, calls // 5
    return {"direct": calls - hosted - cut, "hosted": hosted, "cut": cut}


async def _play(scene: Scene, parts: tuple[Part, ...], calls: int, at_once: int) -> None:
    room = asyncio.Semaphore(at_once)

    async def one(part: Part) -> None:
        async with room:
            # A caller who gives up is a caller, too: the journal is what counts.
            with contextlib.suppress(TimeoutError, SipError, CallEnded, KeyError, RequestRefused):
                async with asyncio.timeout(LIMIT_S):
                    await part(scene)

    await asyncio.gather(*(one(parts[number % len(parts)]) for number in range(calls)))
    for call in list(scene.running.directory.live):
        call.end("bench_over")
    while scene.running.directory.live:  # noqa: ASYNC110
        await asyncio.sleep(0.05)


@asynccontextmanager
async def _scene(folder: Path, name: str, rng: random.Random) -> AsyncGenerator[Scene]:
    async with AsyncExitStack() as stack:
        settings: dict[str, Any] = {
            "journal_dir": str(folder),
            "flows": [str(Path(__file__).with_name(FLOWS))],
            "sip.port": 0,
            "console.enabled": name == "hosted",
            "console.port": 0,
            "realtime.provider": "embedded",
            "call.overload_lag_ms": 0,
            "call.transfer_targets": ["sip:*@127.0.0.1:*"],
            "call.transfer_timeout_s": 8,
            "outbound.allowed": ["sip:*@127.0.0.1:*"],
            "log.level": "error",
        }
        if name == "hosted":
            settings["hosted.webhook_secrets"] = [new_webhook_secret()]
        if name == "cut":
            engine = await stack.enter_async_context(await start_engine(EngineConfig(faults=CUTS)))
            await engine.ready()
            settings["realtime.url"] = engine.url
        phone = await stack.enter_async_context(Phone(follows=True))
        ben = await stack.enter_async_context(Phone(user="ben", answer=PhoneCall.pick_up))
        running = await stack.enter_async_context(Service(bare_settings(settings)))
        await running.ready()
        yield Scene(running, phone, ben, name == "hosted", rng)
