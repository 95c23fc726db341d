"""Flows that are as they should be: nothing is found in them. And how much work it is to look."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from voiceagent.call.targets import TargetRules
from voiceagent.ivr.check.python_check import check_python

ROOT = Path(__file__).parents[3]
TARGETS = TargetRules(("sip:*@127.0.0.1", "sip:desk@127.0.0.1:5090", "sip:desk@example.com"))
OURS = [
    *(path for path in sorted((ROOT / "examples").glob("*.py")) if "@flow(" in path.read_text("utf-8")),
    ROOT / "voiceagent" / "ivr" / "front_desk.py",
]


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_our_own_flows_are_clean(path: Path) -> None:
    checked = check_python(path.read_text(encoding="utf-8"), path.name, TARGETS)
    assert [str(one) for one in checked.findings] == []
    assert checked.flows


SOUND = [
    """
    async with asyncio.timeout(60):
        await call.say("Hello.")
    """,
    """
    try:
        await call.respond("Talk.")
    finally:
        ticker.cancel()
    """,
    """
    both = call.say("One."), call.say("Two.")
    await asyncio.gather(*both)
    """,
    """
    wait = call.until_beep()
    await wait
    """,
    """
    if (topic := await call.choose("Ask.", hours="1")) is None:
        return
    await call.say(f"You chose {topic}.")
    """,
    """
    number = await call.collect("Ask.", digits=Digits(6))
    await call.say(f"It is {number or 'unknown'}.")
    """,
    """
    number = await call.collect("Ask.", digits=Digits(6))
    if not number:
        await call.hangup("Goodbye.")
    await call.say(f"It is {number}.")
    """,
    """
    topic = await call.choose("Ask.", hours="1", person="0")
    if topic == "hours":
        await call.say("Nine to five.")
        return
    if topic == "person":
        await call.say("One moment.")
        return
    await call.hangup("Goodbye.")
    """,
    """
    if await call.confirm("Ask."):
        await call.hangup("Goodbye.")
        return
    for _ in range(3):
        if await call.confirm("Ask again."):
            await call.hangup("Goodbye.")
            break
        else:
            await bye(call)
            continue
    await call.hangup("Goodbye.")
    return None
    """,
    """
    topic = await call.choose("Ask.", hours="1", person="0")
    if topic in ("hours", "person"):
        await call.say("Good choice.")
    await call.hangup("Goodbye.")
    """,
    """
    topic = await call.choose("Ask.", hours="1", sales="2", person="0")
    if topic in {"hours", "sales"}:
        await call.say("Good choice.")
    elif topic == "person":
        await call.say("One moment.")
    await call.hangup("Goodbye.")
    """,
    """
    topic = await call.choose("Ask.", hours="1", sales="2", person="0")
    if topic in ("hours", None):
        await call.say("Nine to five.")
    elif topic in ("sales", "person"):
        await call.say("One moment.")
    await call.hangup("Goodbye.")
    """,
    """
    topic = await call.choose("Ask.", hours="1", person="0")
    handler = {"hours": hours}.get(topic, hours)
    await handler(call)
    """,
    """
    match await call.confirm("Ask."):
        case True:
            await call.say("Good.")
        case False | None:
            await call.say("As you like.")
    """,
    """
    tries = 0
    while tries < 3:
        if await call.confirm("Ask."):
            break
        tries += 1
    """,
    """
    for _ in range(3):
        if (number := await call.collect("Ask.", digits=Digits(6))) is not None:
            await call.say(f"It is {number}.")
            break
    else:
        await call.transfer("sip:desk@example.com")
        await call.hangup("Nobody is there.")
    """,
    """
    while True:
        handed = await call.transfer("sip:desk@example.com")
        if not handed.accepted:
            await call.say("Nobody is there.")
    """,
    """
    await asyncio.Event().wait()
    status = await call.fetch(other.status, "a1", 7, timeout_s=2.5, loud=True)
    await call.say(f"It is {status}.")
    await settle(1)
    """,
    """
    desk = other.Desk(call)
    while True:
        await desk.serve()
    """,
    """
    while True:
        await other.menu(call)
    """,
    """
    await Desk().serve(call)
    """,
    """
    call.attempts = 1
    await call.say(f"Attempt {call.attempts}.")
    await other.elsewhere(call)
    """,
    """
    options = {"hours": "1"}
    topic = await call.choose("Ask.", **options)
    if topic == "ours":
        await call.say("Nine to five.")
    """,
    """
    async def inner() -> None:
        await call.say("Inside.")

    await inner()
    """,
    """
    with suppress(ValueError):
        return
    await call.say("Hello.")
    """,
    """
    await call.respond(f"Greet {call.caller_name}.")
    try:
        await call.transfer("sip:desk@example.com")
    finally:
        await call.say("Goodbye.")
    """,
]
HEAD = textwrap.dedent(
    """
    import asyncio
    from contextlib import suppress
    import other
    from voiceagent.ivr import Call, Digits, flow, option, tool

    async def tick(call: Call) -> None:
        while True:
            await asyncio.sleep(10)
            await call.note("Ten seconds more.")

    class Desk:
        async def serve(self, call: Call) -> None:
            while True:
                await self.step(call)

        async def step(self, call) -> None:
            await call.hangup("Goodbye.")

    async def settle(seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def bye(call: Call) -> None:
        await call.hangup("Goodbye.")
        return

    async def hours(call: Call) -> None:
        await call.say("Nine to five.")

    @flow("f")
    async def main(call: Call) -> None:
        ticker = asyncio.create_task(tick(call))
    """
)


@pytest.mark.parametrize("body", SOUND)
def test_nothing_is_found_where_nothing_is_wrong(body: str) -> None:
    text = HEAD + textwrap.indent(textwrap.dedent(body).strip("\n"), "    ") + "\n"
    assert [str(one) for one in check_python(text, "flow.py", TARGETS).findings] == []


CHAIN = """
async def step_{n}(call: Call) -> None:
    while True:
        match await call.choose("Ask {n}.", hours=option("1", "opening hours"), person="0"):
            case "hours":
                await call.say("Nine to five.", interruptible=False)
            case _:
                break
    await step_{m}(call)
"""
LONG = """
    topic_{n} = await call.choose("Ask {n}.", hours=option("1", "opening hours"), person="0")
    if topic_{n} == "hours":
        await call.say("Nine to five.", interruptible=False)
    else:
        await call.say("Step {n}.")
"""


def chain(steps: int) -> str:
    parts = [CHAIN.format(n=n, m=n + 1) for n in range(steps)]
    last = f"\nasync def step_{steps}(call: Call) -> None:\n    await call.hangup('Goodbye.')\n"
    return HEAD + "    await step_0(call)\n" + "".join(parts) + last


def long(steps: int) -> str:
    return HEAD + "".join(LONG.format(n=n) for n in range(steps)) + "    await call.hangup('Goodbye.')\n"


@pytest.mark.parametrize("written", [chain, long])
def test_the_work_grows_with_the_flow_and_not_with_its_square(written: Callable[[int], str]) -> None:
    def calls_made(steps: int) -> int:
        """Return how many functions are called to check so many steps: the same on every machine."""
        made, text = 0, written(steps)

        def count(frame: object, event: str, argument: object) -> None:
            nonlocal made
            made += event in ("call", "c_call")

        before = sys.getprofile()
        sys.setprofile(count)
        try:
            checked = check_python(text, "flow.py", TARGETS)
        finally:
            sys.setprofile(before)
        assert [str(one) for one in checked.findings] == []
        return made

    check_python(written(1), "flow.py", TARGETS)  # what is kept from now on is not counted
    assert calls_made(200) < 4.5 * calls_made(50)
