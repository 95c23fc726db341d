"""A reply that was cut by a noise: only what is left of it is spoken, by the words that flows really send."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from voiceagent.engine.brain_going_on import parse, rest_after
from voiceagent.engine.brain_rules import WHO_I_AM, decide
from voiceagent.engine.ports import BrainTurn, CallTool, Say
from voiceagent.ivr.conversation import ANSWERING
from voiceagent.ivr.ports import Line
from voiceagent.ivr.resuming import TAIL_WORDS, SpokenOn
from voiceagent.realtime.requests import InterruptedBy, Outcome, OutcomeKind

STANDING = "You are the voice of a small shop."
CUT = Outcome(OutcomeKind.INTERRUPTED, by=InterruptedBy.CALLER)
BILL = "Your bill has three parts. First, the fee of the month. Then, the calls. Last, the tax."


def goes_on(guidance: str, *heard: str) -> str:
    """What a flow asks for when its line was cut (more than once) before the text was known."""
    spoken = SpokenOn(Line(guidance))
    asked: Line | None = None
    for words in heard:
        spoken.heard(replace(CUT, heard_text=words))
        assert spoken.cut
        asked = spoken.rest()
    assert asked is not None
    return asked.instructions


def spoken(line: str, *items: dict[str, Any]) -> str:
    steps = decide(BrainTurn(STANDING, f"{STANDING}\n\n{line}", items))
    assert all(isinstance(step, Say) for step in steps)
    return " ".join(step.text for step in steps if isinstance(step, Say))


def user(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_audio", "transcript": text}]}


def agent(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_audio", "transcript": text}]}


@pytest.mark.parametrize(
    ("guidance", "heard", "rest"),
    [
        (f'Explain the bill: "{BILL}"', BILL[:37], BILL[38:]),
        (f'Say "I am sorry." Then: Ask: "{BILL}"', "I am sorry. Your", BILL[5:]),
        ("Tell the caller that the shop is closed.", "The shop", "is closed."),
        ("Offer tea, or coffee.", "You can say", "tea, or coffee."),
        ('Ask: "Which day is it? Which day?"', "Which day", "is it? Which day?"),
        (f'Say: "{BILL}"', "something else", BILL),
        (f'Say: "{BILL}"', BILL, BILL),
    ],
)
def test_only_the_rest_is_spoken(guidance: str, heard: str, rest: str) -> None:
    assert spoken(goes_on(guidance, heard)) == rest


def test_the_tail_of_a_long_reply_is_found_in_it() -> None:
    heard = BILL[: BILL.index("Last,")].strip()
    assert len(heard.split()) > TAIL_WORDS
    assert spoken(goes_on(f'Say: "{BILL}"', heard)) == "Last, the tax."


def test_what_was_heard_of_all_parts_counts() -> None:
    assert spoken(goes_on(f'Say: "{BILL}"', "Your bill has", "three parts.")).startswith("First, the fee")
    assert spoken(goes_on(f'Say: "{BILL}"', "Your bill has", "")).startswith("three parts."), (
        "not from the start"
    )


def test_an_answer_goes_on_as_that_answer() -> None:
    line = goes_on(ANSWERING, "I heard: Opening")
    speech = spoken(line, user("opening hours"), agent("I heard: Opening"), user(""))
    assert speech == f"hours. {WHO_I_AM}"


def test_a_tool_that_is_asked_for_is_called() -> None:
    offered = {"type": "function", "name": "order_status", "description": "", "parameters": {}}
    line = goes_on('Look up the order status. "One moment."', "One")
    assert spoken(line) == "moment."
    line = goes_on("Look up the order status.", "It is")
    (step,) = decide(BrainTurn(STANDING, line, (), (offered,)))
    assert isinstance(step, CallTool)


@pytest.mark.parametrize("line", ["", 'Say: "Hello."', 'The caller has heard you say "… it". Go on.'])
def test_other_lines_are_none(line: str) -> None:
    assert parse(line) is None


@pytest.mark.parametrize(
    ("text", "heard", "rest"),
    [
        ("We open at nine.", "OPEN, at", "nine."),
        ("We open – always – at nine.", "open always", "at nine."),
        ("We open at nine.", "at nine", ""),
        ("We open at nine.", "…", "We open at nine."),
        ("", "we", ""),
    ],
)
def test_the_rest_begins_after_the_words(text: str, heard: str, rest: str) -> None:
    assert rest_after(text, heard) == rest
