"""Mistakes and sound flows in other hands' styles: classes, tables of functions, aliases, comprehensions."""

from __future__ import annotations

import textwrap

import pytest

from voiceagent.ivr.check.python_check import check_python

MISTAKES = [
    (
        "blocking-call",
        """
        from time import sleep as nap
        import voiceagent.ivr as va

        def settle(seconds: float) -> None:
            nap(seconds)  # here

        @va.flow("f", numbers=["1"])
        async def main(call: va.Call) -> None:
            settle(0.5)
            await call.hangup("Goodbye.")
        """,
    ),
    (
        "needless-await",
        """
        from voiceagent import ivr

        @ivr.flow("f")
        async def main(caller: "ivr.Call", /) -> None:
            try:
                await caller.say("Hello.")
            finally:
                await caller.hangup  # here
        """,
    ),
    (
        "missing-no-input",
        """
        from voiceagent.ivr import Call, flow, option

        async def hours(call): await call.say("Nine to five.")
        async def desk(call): await call.hangup("Nobody is there.")
        WAYS = {"hours": hours, "desk": desk}

        @flow("f")
        async def main(call: Call) -> None:
            picked = await call.choose("Ask.", hours=option("1", "opening"), desk="0")
            await WAYS[picked](call)  # here
        """,
    ),
    (
        "missing-await",
        """
        from voiceagent.ivr import Call, flow
        LINES = ("One.", "Two.")

        @flow("f")
        async def main(call: Call) -> None:
            [call.say(line) for line in LINES]  # here
            await call.hangup()
        """,
    ),
    (
        "endless-loop",
        """
        from voiceagent.ivr import Call as Line, Digits as D, flow as answers

        @answers("f")
        async def main(c: Line) -> None:
            while (number := await c.collect("Ask.", digits=D(6))) is None:  # here
                continue
            await c.say(f"It is {number}.")
        """,
    ),
    (
        "needless-await",
        """
        from voiceagent.ivr import Call, Digits, flow

        @flow("f")
        async def main(call: Call) -> None:
            async with call.private():  # here
                pin = await call.collect("Ask for the PIN.", digits=Digits(4), secret=True)
            if not pin:
                return await call.hangup("Goodbye.")
        """,
    ),
    (
        "missing-no-input",
        """
        from voiceagent.ivr import Call, Digits, flow

        class Desk:
            def __init__(self) -> None:
                self.area = ""

            async def ask(self, call: Call) -> None:
                number = await call.collect("Ask.", digits=Digits(10))
                self.area = number[:3]  # here

        @flow("f")
        async def main(call: Call) -> None:
            await Desk().ask(call)
        """,
    ),
    (
        "missing-no-input",
        """
        from voiceagent.ivr import Call, flow

        @flow("f")
        async def main(call: Call) -> None:
            try:
                number = int(await call.collect("Ask."))  # here
            except ValueError:
                number = 0
            await call.hangup(f"It is {number}.")
        """,
    ),
    (
        "missing-await",
        """
        from voiceagent.ivr import Call, flow

        @flow("f")
        async def main(call: Call) -> None:
            call.step("greeting")
            call.hangup  # here
        """,
    ),
]

SOUND = {
    "either of two verbs": """
        from voiceagent.ivr import Call, flow
        OPEN = True

        @flow("f")
        async def main(call: Call) -> None:
            said = await (call.say("Welcome.") if OPEN else call.respond("Say that we are closed."))
            if said.interrupted:
                await (call.say("Yes?") if OPEN else call.hangup())
            await call.hangup("Closed.") if not OPEN else await call.say("Open.")
            OPEN or await call.hangup("Closed.")
            done = [await call.hangup() for _ in ()]
            await call.say("Still here.")
        """,
    "work in threads": """
        import asyncio, functools, time
        from pathlib import Path
        from voiceagent.ivr import Call, flow

        def slow() -> str:
            time.sleep(1)
            return open("x").read()

        def slower() -> str:
            return slow() + slow()

        async def look() -> str:
            loop = asyncio.get_running_loop()
            one = await asyncio.to_thread(lambda: open("x").read())
            two = await loop.run_in_executor(None, slower)
            three = await asyncio.to_thread(functools.partial(slow))
            def four() -> str:
                return slow()
            return one + two + three + await asyncio.to_thread(lambda: slow()) + await asyncio.to_thread(four)

        @flow("f")
        async def main(call: Call) -> None:
            await call.say(f"It is {await call.fetch(look)}.")
            await call.hangup()
        """,
    "flows from a factory": """
        from __future__ import annotations
        from typing import TYPE_CHECKING
        from voiceagent.ivr import flow
        if TYPE_CHECKING:
            from voiceagent.ivr import Call

        def desk(number: str, words: str):
            @flow(f"desk-{number}", numbers=[number])
            async def answer(call: Call, /) -> None:
                await call.hangup(words)
            return answer

        first, second = (desk(n, w) for n, w in {"1": "One.", "2": "Two."}.items())
        """,
    "a loop that its test leaves": """
        from voiceagent.ivr import Call, flow

        async def menu(call: Call, left: int = 3) -> None:
            while (topic := await call.choose("Ask.", hours="1", done="9")) not in (None, "done"):
                await call.say(f"You chose {topic}.")
            if left and await call.confirm("Once more?"):
                await menu(call, left - 1)

        @flow("f")
        async def main(call: Call) -> None:
            await menu(call)
            await call.hangup()
            return
        """,
    "exceptions as ways": """
        import asyncio
        from voiceagent.ivr import Call, flow

        class Again(Exception): ...

        async def ask(call: Call) -> str:
            topic = await call.choose("Ask.", hours="1", person="0")
            if topic is None:
                raise Again
            return topic

        @flow("f")
        async def main(call: Call) -> None:
            for _ in range(3):
                try:
                    await call.say(await ask(call))
                except Again:
                    continue
                else:
                    break
            try:
                await call.hangup("Goodbye.")
            finally:
                await asyncio.sleep(0)
        """,
    "a table of handlers": """
        import elsewhere
        from voiceagent.ivr import Call, flow, option

        async def hours(call: Call) -> None:
            await call.say("Nine to five.")

        async def desk(call: Call) -> None:
            await call.hangup("Nobody is there.")
            return

        WAYS = {"hours": hours, "desk": desk, None: desk}
        KEYS = {"hours": option("1", "opening"), "desk": "0"}

        @flow("f")
        async def main(call: Call) -> None:
            await WAYS.get(await call.choose("Ask.", **KEYS), desk)(call)
            await WAYS[await call.choose("Ask.", hours="1", desk="0")](call)
            picked = await call.choose("Ask.", hours="1", desk="0")
            await WAYS[picked](call)
            await elsewhere.WAYS[picked](call)
            if picked is not None:
                await WAYS[picked](call)
            number = await call.collect("Ask.")
            await call.say((number or "none")[:3])
            await call.hangup()
        """,
    "what None raises is caught": """
        from contextlib import suppress
        from voiceagent.ivr import Call, flow

        @flow("f")
        async def main(call: Call) -> None:
            try:
                picked = await call.choose("Ask.", hours="1", desk="0")
                await call.say({"hours": "Nine to five.", "desk": "One moment."}[picked])
            except (KeyError, OSError):
                await call.say("Sorry.")
            with suppress(TypeError):
                await call.say(f"It is {int(await call.collect('Ask.')) + 1}.")
            try:
                number = await call.collect("Ask.")
                await call.say(number[:3])
            except:
                await call.hangup()
        """,
    "many at once": """
        import asyncio
        from voiceagent.ivr import Call, flow

        @flow("f")
        async def main(call: Call) -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(call.say("Hello."))
                wishes = [call.say(line) for line in ("One.", "Two.")]
                await asyncio.gather(*wishes)
            await asyncio.gather(*[call.say(line) for line in ("One.", "Two.")])
            for one in [call.say("Three.")]:
                await one
            done = [await call.say(line) for line in ("One.", "Two.")]
            [await call.say(line) for line in ("One.", "Two.")]
            topic = await asyncio.wait_for(call.choose("Ask.", hours="1"), timeout=30)
            match topic, len(done):
                case "hours", 2:
                    await call.say("Nine to five.")
            hang_up = call.hangup
            await hang_up("Goodbye.")
        """,
    "asked in words": """
        import contextlib
        from voiceagent.ivr import Call, Digits, flow

        async def lines(call: Call):
            while (said := await call.collect("Ask for the next item.")) is not None:
                yield said

        @flow("f")
        async def main(call: Call) -> None:
            items = [one async for one in lines(call)]
            with call.private(), contextlib.suppress(ValueError):
                pin = await call.collect("Ask for the PIN.", digits=Digits(4), secret=True)
                assert pin is not None
                await call.fetch(check, pin, len(items))
            for answer in (await call.confirm("One?"), await call.confirm("Two?")):
                if answer in (True, False):
                    await call.say("Noted.")
            await call.hangup()

        async def check(pin, count): ...
        """,
}


@pytest.mark.parametrize(("code", "text"), MISTAKES, ids=[f"{n}-{one[0]}" for n, one in enumerate(MISTAKES)])
def test_a_mistake_is_found_at_its_line_and_nothing_else(code: str, text: str) -> None:
    text = textwrap.dedent(text)
    found = check_python(text, "flow.py").findings
    lines = [number for number, line in enumerate(text.splitlines(), 1) if line.endswith("# here")]
    assert [(one.code, one.line) for one in found] == [(code, line) for line in lines]


@pytest.mark.parametrize("name", SOUND)
def test_nothing_is_found_in_a_sound_flow(name: str) -> None:
    text = textwrap.dedent(SOUND[name])
    compile(text, name, "exec")
    assert [str(one) for one in check_python(text, "flow.py").findings] == []
