"""Mistakes seeded into Python flows: each is found with its code, at its line, and nothing else."""

from __future__ import annotations

import textwrap

import pytest

from voiceagent.call.targets import TargetRules
from voiceagent.ivr.check.codes import PYTHON_CODES
from voiceagent.ivr.check.findings import Finding
from voiceagent.ivr.check.python_check import check_python, shared_names

HEAD = "import asyncio\nimport time\nfrom voiceagent.ivr import Call, Digits, flow, option, tool\n"
LONG = " ".join(["word"] * 41)


TARGETS = TargetRules(("sip:desk@example.com",))


def findings(text: str) -> list[Finding]:
    return list(check_python(text, "flow.py", TARGETS, {"sales", "support"}).findings)


def in_flow(body: str, before: str = "") -> str:
    """A file whose flow has this body."""
    return (
        HEAD
        + textwrap.dedent(before)
        + '@flow("f", numbers=["1"])\nasync def main(call: Call) -> None:\n'
        + textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")
        + "\n"
    )


def marked(text: str) -> list[int]:
    """The lines that end with the mark of a seeded mistake."""
    return [number for number, line in enumerate(text.splitlines(), 1) if line.endswith("# here")]


MISTAKES: list[tuple[str, str]] = [
    ("syntax", HEAD + "def broken(:  # here\n    pass\n"),
    ("not-async", HEAD + '@flow("f")\ndef main(call: Call) -> None:  # here\n    call.step("one")\n'),
    (
        "not-async",
        in_flow(
            'await call.say("Hello.")', "@tool\ndef look(number: str) -> str:  # here\n    return number\n"
        ),
    ),
    ("missing-await", in_flow('call.say("Hello.")  # here\nawait call.hangup()')),
    ("missing-await", in_flow('if call.confirm("Ask."):  # here\n    await call.say("Good.")')),
    ("missing-await", in_flow('said = call.say("Hello.")  # here\nif said.interrupted:\n    return')),
    (
        "missing-await",
        in_flow("greet(call)  # here", 'async def greet(call: Call) -> None:\n    await call.say("Hi.")\n'),
    ),
    ("needless-await", in_flow('await call.step("greeting")  # here\nawait call.say("Hello.")')),
    ("unknown-verb", in_flow('await call.speak("Hello.")  # here')),
    ("unknown-verb", in_flow("await call.say(call.calller)  # here")),
    ("bad-argument", in_flow('await call.say("Hello.", interuptible=False)  # here')),
    ("bad-argument", in_flow("await call.respond()  # here")),
    ("bad-argument", in_flow('await call.say("Hello.", {"a": "b"})  # here')),
    ("bad-argument", in_flow('await call.say("")  # here')),
    ("bad-argument", in_flow('if await call.confirm("Ask.", attempts=0):  # here\n    return')),
    (
        "bad-argument",
        in_flow(
            """
            match await call.choose("Ask.", hours="1", attempt=3):  # here
                case "hours":
                    await call.say("Nine to five.")
                case _:
                    return
            """
        ),
    ),
    (
        "bad-argument",
        in_flow(
            """
            match await call.choose(
                "Ask.",
                hours=option("12"),  # here
            ):
                case "hours":
                    await call.say("Nine to five.")
                case _:
                    return
            """
        ),
    ),
    ("bad-argument", in_flow('return await call.collect("Ask.", digits=Digits(5, 3))  # here')),
    ("bad-argument", in_flow('return await call.collect("Ask for the PIN.", secret=True)  # here')),
    (
        "duplicate-key",
        in_flow(
            """
            return await call.choose(
                "Ask.",
                hours="1",
                person=option("1", "agent"),  # here
            )
            """
        ),
    ),
    (
        "ambiguous-phrases",
        in_flow(
            """
            return await call.choose(
                "Ask.",
                hours=option("1", "my opening hours"),
                person=option("2", "My opening hours!"),  # here
            )
            """
        ),
    ),
    ("ambiguous-digits", in_flow('return await call.collect("Ask.", digits=Digits(1, 6, end="0"))  # here')),
    (
        "missing-no-input",
        in_flow(
            """
            match await call.choose("Ask.", hours="1", person="0"):  # here
                case "hours":
                    await call.say("Nine to five.")
                case "person":
                    await call.say("One moment.")
            await call.hangup()
            """
        ),
    ),
    (
        "missing-no-input",
        in_flow(
            """
            topic = await call.choose("Ask.", hours="1", person="0")
            if topic == "hours":  # here
                await call.say("Nine to five.")
            elif topic == "person":
                await call.say("One moment.")
            await call.hangup()
            """
        ),
    ),
    ("missing-no-input", in_flow('await call.choose("Ask.", hours="1")  # here\nawait call.hangup()')),
    (
        "missing-no-input",
        in_flow(
            """
            number = await call.collect("Ask.", digits=Digits(6))
            await call.respond(f"Tell the caller about order {number}.")  # here
            """
        ),
    ),
    (
        "unhandled-option",
        in_flow(
            """
            match await call.choose(
                "Ask.",
                hours="1",
                person="0",  # here
            ):
                case "hours":
                    await call.say("Nine to five.")
                case None:
                    return
            """
        ),
    ),
    (
        "unreachable",
        in_flow(
            """
            match await call.choose("Ask.", hours="1"):
                case "hour":  # here
                    await call.say("Nine to five.")
                case _:
                    return
            """
        ),
    ),
    ("unreachable", in_flow('await call.hangup("Goodbye.")\nawait call.say("One more thing.")  # here')),
    ("unreachable", in_flow('await call.hangup("Goodbye.")\nreturn\nawait call.say("One more.")  # here')),
    (
        "unreachable",
        in_flow(
            """
            for _ in range(3):
                await call.say("Hello.")
                break
                await call.say("Hello again.")  # here
            """
        ),
    ),
    (
        "unreachable",
        in_flow(
            "await goodbye(call)\nawait call.say('Still there?')  # here",
            "async def goodbye(call: Call) -> None:\n    await call.hangup('Goodbye.')\n",
        ),
    ),
    (
        "unreachable",
        in_flow(
            """
            handed = await call.transfer("sip:desk@example.com")
            if handed.accepted:
                await call.say("You are through.")  # here
            else:
                await call.say("Nobody is there.")
            """
        ),
    ),
    (
        "endless-loop",
        in_flow(
            "while True:  # here\n    await pause()\n    await asyncio.sleep(1)",
            "async def pause() -> None:\n    await asyncio.sleep(1)\n",
        ),
    ),
    (
        "missing-await",
        in_flow(
            "await Desk().serve(call)",
            """
            class Desk:
                async def serve(self, call: Call) -> None:
                    self.greet(call)  # here

                async def greet(self, caller) -> None:
                    await caller.say("Hello.")
            """,
        ),
    ),
    (
        "missing-await",
        in_flow(
            "await Desk().serve(call)",
            """
            class Desk:
                async def serve(self, call: Call) -> None:
                    await self.greet(call)

                async def greet(self, caller) -> None:
                    caller.say("Hello.")  # here
            """,
        ),
    ),
    ("endless-loop", in_flow('while True:  # here\n    await call.respond("Say something.")')),
    ("endless-loop", in_flow('done = False\nwhile not done:  # here\n    await call.say("Still here.")')),
    (
        "endless-loop",
        in_flow(
            """
            number = None
            while number is None:  # here
                number = await call.collect("Ask.", digits=Digits(6))
            await call.say("Thank you.")
            """
        ),
    ),
    (
        "endless-loop",
        in_flow(
            """
            while True:  # here
                match await call.choose("Ask.", hours="1", nothing="9"):
                    case "hours":
                        await call.say("Nine to five.")
                    case "nothing":
                        break
                    case None:
                        await call.say("I did not understand.")
            """
        ),
    ),
    (
        "endless-loop",
        in_flow(
            "await menu(call)",
            """
            async def menu(call: Call) -> None:
                match await call.choose("Ask.", hours="1"):
                    case "hours":
                        await call.hangup("Nine to five.")
                    case _:
                        await menu(call)  # here
            """,
        ),
    ),
    (
        "transfer-not-allowed",
        in_flow('await call.transfer("sip:boss@example.com")  # here\nawait call.say("Nobody is there.")'),
    ),
    (
        "transfer-not-allowed",
        in_flow('await call.say("Hello.")')
        .replace('"f",', '"f", fallback_target="sip:boss@example.com",')
        .replace('"1"])', '"1"])  # here'),
    ),
    (
        "transfer-not-allowed",
        in_flow(
            'await call.transfer(BOSS)  # here\nawait call.say("Nobody is there.")',
            'BOSS = "sip:boss@example.com"\n',
        ),
    ),
    (
        "transfer-no-fallback",
        in_flow('await call.say("Hi.")\nawait call.transfer("sip:desk@example.com")  # here'),
    ),
    (
        "transfer-no-fallback",
        in_flow(
            "await desk(call)",
            """
            async def desk(call: Call) -> None:
                handed = await call.transfer("sip:desk@example.com")  # here
            """,
        ),
    ),
    ("unknown-queue", in_flow('await call.queue("sale")  # here\nawait call.hangup("Nobody is there.")')),
    (
        "unknown-queue",
        in_flow(
            """
            waited = await call.queue(
                announce=False,
                name=DESK,  # here
            )
            if waited.reason != "left":
                await call.hangup("Nobody is there.")
            """,
            'DESK = "Support"\n',
        ),
    ),
    ("missing-function", in_flow('await call.respond("Look it up.", tools=[lookup])  # here')),
    ("missing-function", in_flow("await biling(call)  # here")),
    (
        "missing-function",
        in_flow('await call.respond("Look it up.", tools=[look])  # here', "async def look() -> str: ...\n"),
    ),
    ("not-async", in_flow("await call.fetch(look, 1)  # here", "def look(n: int) -> int: ...\n")),
    ("bad-argument", in_flow("await call.fetch(look, timeout_s=0)  # here", "async def look(): ...\n")),
    (
        "outside-await",
        in_flow(
            "await look(1)  # here",
            "import httpx\n\nasync def look(n: int) -> None:\n    await httpx.AsyncClient().get('x')\n",
        ),
    ),
    (
        "missing-await",
        in_flow(
            'await call.respond("Look.", tools=[look])',
            "@tool\nasync def look(call: Call) -> str:\n    call.note('x')  # here\n    return ''\n",
        ),
    ),
    ("long-uninterruptible", in_flow(f'await call.say("{LONG}", interruptible=False)  # here')),
    ("long-uninterruptible", in_flow("await call.hangup(LEGAL)  # here", f'LEGAL = "{LONG}"\n')),
    ("raw-caller-text", in_flow("await call.respond(f'Greet {call.caller.raw}.')  # here")),
    ("raw-caller-text", in_flow('await call.respond(" ".join(["Greet", call.caller_name]))  # here')),
    ("bad-argument", in_flow('await call.transfer("desk, please")  # here\nawait call.say("Nobody.")')),
    ("secret-spoken", in_flow('await call.say(f"It is {pin.get_secret_value()}.")  # here', "pin = ...\n")),
    (
        "secret-spoken",
        in_flow(
            'told = pin.get_secret_value()\nawait call.respond(f"Repeat {told}.")  # here', "pin = ...\n"
        ),
    ),
    ("blocking-call", in_flow('time.sleep(1)  # here\nawait call.say("Hello.")')),
    (
        "blocking-call",
        in_flow(
            'await call.respond("Look.", tools=[look])',
            """
            import requests as web

            @tool
            async def look(number: str) -> str:
                return web.get(f"https://example.com/{number}").text  # here
            """,
        ),
    ),
    ("no-flow", "# here\n"),
]


@pytest.mark.parametrize(("code", "text"), MISTAKES, ids=[f"{n}-{one[0]}" for n, one in enumerate(MISTAKES)])
def test_a_seeded_mistake_is_found_at_its_line_and_nothing_else(code: str, text: str) -> None:
    assert [(one.code, one.line) for one in findings(text)] == [(code, line) for line in marked(text)]
    assert marked(text)


@pytest.mark.parametrize(("code", "text"), MISTAKES, ids=[f"{n}-{one[0]}" for n, one in enumerate(MISTAKES)])
def test_a_line_may_allow_what_is_found_there(code: str, text: str) -> None:
    if code != "syntax":
        assert findings(text.replace("# here", f"# check: allow {code}")) == []


def test_the_codes_in_the_table_are_seeded() -> None:
    across_files = {"number-twice", "name-twice", "import-fails", "fails-in-simulation", "missing-file"}
    assert {code for code, _ in MISTAKES} | across_files == set(PYTHON_CODES)


def test_a_finding_reads_like_a_compilers() -> None:
    found = findings(in_flow('await call.speek("Hello.")'))
    assert str(found[0]).startswith("flow.py:6: error: a call has no 'speek'")
    assert str(found[0]).endswith("[unknown-verb]")


def test_two_flows_may_not_share_number_or_name() -> None:
    one = check_python(HEAD + '@flow("a", numbers=["+44 20 1"])\nasync def a(call): ...\n', "a.py")
    two = check_python(
        HEAD + '@flow(\n    "a",\n    numbers=["0044201"],\n)\nasync def b(call): ...\n', "b.py"
    )
    found = list(shared_names([*one.flows, *two.flows]))
    assert [(each.file, each.line, each.code) for each in found] == [
        ("b.py", 8, "name-twice"),
        ("b.py", 6, "number-twice"),
    ]
