"""Mistakes and sound flows in TOML as other hands write it: dotted keys, inline tables, any end of line."""

from __future__ import annotations

import textwrap

import pytest

from tests.ivr_toml.kit import checked
from voiceagent.call.targets import TargetRules

RULES = TargetRules(("sip:*@example.org",))

MISTAKES = [
    (
        "unknown-target",
        """
        flow.name = "a"
        steps.menu.type = "choose"
        steps.menu.prompt = "Ask."
        steps.menu.otherwise = "bye"
        steps.menu.options.hours.key = "1"
        steps.menu.options.hours.next = "huors"  # here
        steps.hours.type = "respond"
        steps.hours.say = "Nine to five."
        steps.hours.next = "bye"
        steps.bye.type = "hangup"
        """,
    ),
    (
        "unknown-name",
        '''
        [flow]
        name = "a"
        [steps]
        ask = { type = "collect", prompt = "Ask.", into = "number", next = "tell", otherwise = "bye" }
        bye = { type = "hangup" }
        [steps.tell]
        type = "respond"
        guide = """  # here
        Tell the caller
        that {numbre} is ready."""
        next = "bye"
        ''',
    ),
    (
        "unknown-name",
        """
        [flow]
        name = "a"
        [steps."ask"]
        type = "choose"
        prompt = 'Ask.'
        no_input = [
            "Hello?",
            # the second time
            "Hello, {nobody}?",  # here
        ]
        options = { yes = { key = "1", next = "bye" } }
        otherwise = "bye"
        [steps."bye"]
        type = "hangup"
        """,
    ),
    (
        "duplicate-key",
        """
        [steps.bye]
        type = "hangup"
        [steps.menu]
        otherwise = "bye"
        prompt = "Ask."
        type = "choose"
        [steps.menu.options]
        one.key = "*"
        one.next = "bye"
        two.phrases = ["zwei"]
        two.next = "bye"
        two.key = "*"  # here
        [flow]
        start = "menu"
        name = "a"
        """,
    ),
    (
        "unknown-target",
        """
        [flow]
        name = "a"
        [steps.look]
        type = "call"
        url = "http://localhost/x"
        next = "bye"
        otherwise = "bye"
        [steps.look.cases]
        "past due" = "bye"
        "über" = "dunning"  # here
        [steps.bye]
        type = "hangup"
        """,
    ),
    (
        "secret-spoken",
        """
        [flow]
        name = "a"
        [steps.pin]
        type = "collect"
        prompt = "Ask."
        secret = true
        digits.least = 4
        into = "pin"
        next = "tell"
        otherwise = "bye"
        [steps.tell]
        type = "respond"
        say = "Thank you."
        next = "bye"
        [steps.tell.metadata]
        kind = "pin"
        value = "{pin}"  # here
        [steps.bye]
        type = "hangup"
        """,
    ),
    (
        "bad-value",
        """
        [flow]
        name = "a"
        [steps.token]
        type = "collect"
        prompt = "Ask."
        into = "token"
        next = "look"
        otherwise = "bye"
        [steps.look]
        type = "call"
        url = "http://localhost/x"
        arguments.token = "{token}"
        headers.X-Kind = "token"
        headers.Authorization = "Bearer {token}"  # here
        next = "bye"
        otherwise = "bye"
        [steps.bye]
        type = "hangup"
        """,
    ),
    (
        "bad-value",
        """
        [flow]
        name = "a"
        [steps.who]
        type = "collect"
        prompt = "Ask for the extension."
        digits.least = 2
        into = "extension"
        next = "hand"
        otherwise = "hand"
        [steps.hand]
        type = "transfer"
        target = "sip:{extension}@example.org"  # here
        otherwise = "bye"
        [steps.bye]
        type = "hangup"
        """,
    ),
]

SOUND = {
    "dotted keys and odd names": """
        flow.name = "a"
        flow.numbers = ["*"]
        steps.flow.type = "choose"
        steps.flow.prompt = "Ask."
        steps.flow.otherwise = "end"
        steps.flow.options.next = { key = "1", next = "steps" }
        steps.flow.options.otherwise = { phrases = ["nothing else"], next = "type" }
        steps.flow.options.type = { key = "#", next = "type" }
        steps.steps = { type = "respond", guide = "Go on.", next = "flow" }
        steps.type = { type = "note", text = "The caller wants {{nothing}}.", next = "end" }
        steps.end.type = "hangup"
        """,
    "the caller goes round": """
        [steps.bye]
        type = "hangup"

        [steps.1]
        type = "choose"
        prompt = '''
        Ask, "politely",
        what they want.'''
        options.again = { key = "9", next = "1" }
        options.back = { key = "*", next = "ask" }
        otherwise = "bye"
        into = "chosen"

        [steps.ask]
        type = "collect"
        prompt = "Ask."
        into = "n"
        as = "int"
        next = "2-b"
        otherwise = "bye"

        [steps.2-b]
        type = "respond"
        guide = \"\"\"\\
            Tell {caller} from {header.X-Shop} \\
            about {n}.\"\"\"
        metadata = { n = "{n}", who = "{metadata.who}" }
        next = "1"

        [flow]
        name = "round"
        start = "1"
        """,
    "one name set on both ways": """
        [flow]
        name = "a"
        [steps.first]
        type = "choose"
        prompt = "Ask."
        options.typed = { key = "1", next = "keys" }
        options.said = { key = "2", next = "words" }
        otherwise = "bye"
        [steps.keys]
        type = "collect"
        prompt = "Ask."
        digits = { least = 1, most = 32, end = "*", pause_s = 2 }
        into = "item"
        next = "look"
        otherwise = "words"
        [steps.words]
        type = "collect"
        prompt = "Ask."
        into = "item"
        next = "look"
        otherwise = "bye"
        [steps.look]
        type = "call"
        method = "GET"
        url = "http://localhost:8080/items/{item}?lang=en"
        headers = { Authorization = "env:TOKEN", X-Braces = "{}" }
        arguments = { deep = true, most = 3, text = "a {item}" }
        result = "items.0.name"
        into = "name"
        cases = { "" = "bye", "none" = "bye" }
        next = "tell"
        otherwise = "bye"
        [steps.tell]
        type = "respond"
        say = "It is {name}, {{really}}."
        next = "bye"
        [steps.bye]
        type = "hangup"
        say = "Goodbye, {caller_name}."
        """,
    "leaving a queue in three ways": """
        [flow]
        name = "a"
        language = "de-AT"
        idle = ["Sind Sie noch da?"]
        [steps.wait]
        type = "queue"
        name = "sales"
        leave = "#"
        left = "ask"
        otherwise = "hand"
        [steps.hand]
        type = "transfer"
        target = "sip:desk@example.org"
        attended = true
        whisper = "Call from {caller}."
        otherwise = "tape"
        [steps.ask]
        type = "choose"
        prompt = "Ask."
        options.on = { key = "1", next = "wait" }
        otherwise = "hand"
        [steps.tape]
        type = "record"
        announce = "Please speak."
        next = "talk"
        [steps.talk]
        type = "collect"
        prompt = "Ask for the message."
        into = "message"
        next = "bye"
        otherwise = "bye"
        [steps.bye]
        type = "hangup"
        """,
}


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize(("code", "text"), MISTAKES, ids=[f"{n}-{one[0]}" for n, one in enumerate(MISTAKES)])
def test_a_mistake_is_found_at_its_line_and_nothing_else(code: str, text: str, end: str) -> None:
    text = textwrap.dedent(text).lstrip()
    lines = [number for number, line in enumerate(text.splitlines(), 1) if line.endswith("# here")]
    found = checked(text.replace("\n", end), RULES, {"sales"})
    assert [(one.code, one.line) for one in found] == [(code, line) for line in lines]


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("name", SOUND)
def test_nothing_is_found_in_a_sound_flow(name: str, end: str) -> None:
    text = textwrap.dedent(SOUND[name]).lstrip().replace("\n", end)
    assert [str(one) for one in checked(text, RULES, {"sales"})] == []
