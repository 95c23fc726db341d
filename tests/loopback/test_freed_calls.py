"""An ended call is freed by its reference counts: a full turn of the collector would stop all other calls."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from pathlib import Path
from typing import Any

import pytest

from tests.kit.collector import left_to_the_collector, no_collector
from tests.kit.service import service, until
from voiceagent.app.service import Service
from voiceagent.phone.phone import Phone, PhoneCall

__all__ = ["no_collector"]

pytestmark = pytest.mark.loopback

FLOW = """
import asyncio
from voiceagent.ivr import Call, Digits, flow

@flow("over", numbers=["100"])
async def over(call: Call) -> None:
    await call.say("Hello.")
    await call.collect("Ask for the code.", digits=Digits(1), no_input_s=30)
    await call.hangup("Bye.")

@flow("left", numbers=["200"])
async def left(call: Call) -> None:
    await call.say("One two three four five six seven eight nine ten eleven twelve thirteen fourteen.")
    await asyncio.Event().wait()

@flow("broken", numbers=["300"])
async def broken(call: Call) -> None:
    await call.say("Hello.")
    raise ValueError("broken")
"""
MODULES = ("voiceagent", "sqlalchemy", "ctypes", "_ctypes")
"""Whose objects count: a socket of asyncio's own loop refers to itself, and the rest is part of these."""
AFTER_S = 64.0
"""So long after the last message of a call SIP knows nothing of it any more."""


def parts_of(running: Service) -> dict[str, weakref.ref[Any]]:
    """Return what must be gone once the call is, by name."""
    (call,) = running.directory.live
    assert call.session is not None
    model: Any = call.session.model
    parts = {
        "call": call,
        "leg": call.leg,
        "session": call.session,
        "surviving model": model,
        "link": model.inner.link,
    }
    return {name: weakref.ref(part) for name, part in parts.items()}


def alive(parts: dict[str, weakref.ref[Any]]) -> list[str]:
    """Return which parts are still there."""
    return [name for name, part in parts.items() if part() is not None]


async def ended(
    running: Service, phone: Phone, number: str, phone_calls: list[PhoneCall]
) -> dict[str, weakref.ref[Any]]:
    """Live one call to its end, and have the node forget it; ``phone_calls`` keeps the other side of it."""
    assert running.addresses is not None
    call = phone.dial(f"sip:{number}@{running.addresses.sip}")
    phone_calls.append(call)
    await call.answered()
    await (call.until_answered_in_words() if number == "100" else call.until_speaking())
    parts = parts_of(running)
    if number == "100":
        await call.press("4")
    elif number == "200":
        call.hang_up()
    await call.over(45)
    await until(lambda: not running.directory.live)
    await forgotten(running)
    return parts


async def forgotten(running: Service) -> None:
    """Have the node forget all ended calls, and SIP their transactions."""
    running.directory.forget([view.id for view in running.directory.calls()])
    assert await running.archive.flush(20)
    assert running.sip is not None
    endpoint = running.sip.endpoint
    endpoint.wake(asyncio.get_running_loop().time() + AFTER_S)
    figures = endpoint.figures()
    assert (figures.server_transactions, figures.client_transactions, figures.timers) == (0, 0, 0)


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("number", ["100", "200", "300"], ids=["ends", "caller leaves", "flow fails"])
async def test_an_ended_call_leaves_nothing_to_the_collector(tmp_path: Path, number: str) -> None:
    path = tmp_path / "flows.py"
    path.write_text(FLOW, encoding="utf-8")
    calls: list[PhoneCall] = []
    async with service(tmp_path, flows=[str(path)]) as running, Phone() as phone:
        await ended(running, phone, number, calls)  # caches are filled, modules imported
        gc.collect()
        parts = await ended(running, phone, number, calls)
        with contextlib.suppress(TimeoutError):
            await until(lambda: not alive(parts), within_s=45)
        assert alive(parts) == []
        await asyncio.sleep(0)
        left = left_to_the_collector(*MODULES)
    assert not left, dict(left)


@pytest.mark.usefixtures("no_collector")
async def test_a_refused_call_leaves_nothing_to_the_collector(tmp_path: Path) -> None:
    path = tmp_path / "flows.py"
    path.write_text(FLOW, encoding="utf-8")
    calls: list[PhoneCall] = []

    async def refused(running: Service, phone: Phone) -> None:
        assert running.addresses is not None
        call = phone.dial(f"sip:999@{running.addresses.sip}")
        calls.append(call)
        assert (await call.over(45)).status == 404
        await forgotten(running)

    async with service(tmp_path, flows=[str(path)]) as running, Phone() as phone:
        await refused(running, phone)
        gc.collect()
        await refused(running, phone)
        left = left_to_the_collector(*MODULES)
    assert not left, dict(left)
