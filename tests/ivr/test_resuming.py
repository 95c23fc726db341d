"""What is still to be said of a line that was cut, and whether the caller meant to cut it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceagent.ivr.languages import ENGLISH
from voiceagent.ivr.ports import CallerInput, CallerSaid, CallerSpoke, CallerStopped, DigitPressed, Line, Tool
from voiceagent.ivr.resuming import (
    COUGH_S,
    LONG_S,
    OVERHEARD_S,
    WORDS_S,
    SpokenOn,
    judged,
    last_turn,
    rest_of,
)
from voiceagent.realtime.requests import InterruptedBy, Outcome, OutcomeKind

CUT = Outcome(OutcomeKind.INTERRUPTED, by=InterruptedBy.CALLER)


@pytest.mark.parametrize(
    ("text", "heard", "rest"),
    [
        ("We open at nine.", "", "We open at nine."),
        ("We open at nine.", "We open", "at nine."),
        ("We open at nine.", "we OPEN,", "at nine."),
        ("We open at nine.", "We open at nine.", ""),
        ("We open – always – at nine.", "We open always", "at nine."),
        ("Fünf Äpfel, bitte.", "fünf äpfel", "bitte."),
        ("It costs 42 euros and 50 cents today.", "It costs forty-two euros and", "50 cents today."),
        ("It costs 42 euros today.", "The price is", "euros today."),
        ("", "anything", ""),
        ("…", "", "…"),
    ],
)
def test_the_rest_begins_at_the_word_where_it_stopped(text: str, heard: str, rest: str) -> None:
    assert rest_of(text, heard) == rest


words = st.lists(st.sampled_from("so and so the caller was told again and again".split()), min_size=1)  # noqa: SIM905


@given(words, st.data())
def test_what_was_heard_and_the_rest_are_the_text(said: list[str], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(said)))
    text = " ".join(said)
    heard = " ".join(said[:at])
    assert f"{heard} {rest_of(text, heard)}".strip() == text


@given(st.text(), st.text())
def test_the_rest_is_always_an_end_of_the_text(text: str, heard: str) -> None:
    assert text.rstrip().endswith(rest_of(text, heard).rstrip())


def turn(*items: tuple[float, CallerInput]) -> list[tuple[float, CallerInput]]:
    return [(0.0, CallerSpoke()), *items]


STOPPED = (0.5, CallerStopped())


@pytest.mark.parametrize(
    ("inputs", "now", "verdict"),
    [
        (turn(), 0.1, LONG_S),
        (turn(), LONG_S, False),
        (turn(STOPPED), 0.6, 0.5 + WORDS_S),
        (turn(STOPPED), 0.5 + WORDS_S, True),
        (turn((COUGH_S + 0.1, CallerStopped())), COUGH_S + 0.1 + WORDS_S, False),
        (turn(STOPPED, (0.7, CallerSaid(""))), 0.7, True),
        (turn(STOPPED, (0.7, CallerSaid("Mhm."))), 0.7, True),
        (turn(STOPPED, (0.7, CallerSaid("stop"))), 0.7, False),
        (turn(STOPPED, (0.6, DigitPressed("1"))), 0.6, False),
        (turn(STOPPED, (0.6, CallerSpoke())), 0.7, 0.6 + LONG_S),
        (turn(STOPPED, (0.6, CallerSpoke()), (0.7, CallerSaid(""))), 0.8, 0.6 + LONG_S),
        (turn(STOPPED), OVERHEARD_S, False),
        ([], 0.0, False),
    ],
)
def test_a_sound_is_judged_by_what_was_said(
    inputs: list[tuple[float, CallerInput]], now: float, verdict: bool | float
) -> None:
    assert judged(inputs, ENGLISH, now) == verdict
    assert type(judged(inputs, ENGLISH, now)) is type(verdict)


events = st.sampled_from(
    [CallerSpoke(), CallerStopped(), CallerSaid(""), CallerSaid("ok"), CallerSaid("help"), DigitPressed("1")]
)


@given(st.lists(st.tuples(st.floats(0, 3), events)))
def test_every_wait_ends(steps: list[tuple[float, CallerInput]]) -> None:
    now, inputs = 0.0, turn()
    for pause, event in steps:
        now += pause
        inputs.append((now, event))
    for _ in range(4):
        verdict = judged(inputs, ENGLISH, now)
        if isinstance(verdict, bool):
            return
        assert now < verdict <= OVERHEARD_S
        now = verdict
    raise AssertionError("it waits on and on")


def test_the_last_turn_is_the_one_that_cut() -> None:
    spoke = CallerSpoke()
    old: list[tuple[float, CallerInput]] = [(0.0, CallerSpoke()), (1.0, CallerSaid("a"))]
    assert last_turn([*old, (2.0, spoke), (3.0, CallerStopped())])[0][1] is spoke
    assert last_turn([*old, (2.0, DigitPressed("1"))]) == ()
    assert last_turn([]) == ()


def test_half_a_reply_with_tools_is_not_asked_for_again() -> None:
    async def nothing() -> None: ...

    tools = (Tool("t", "", {}, nothing),)
    spoken = SpokenOn(Line("Look it up.", tools=tools))
    spoken.heard(replace(CUT, text="Your balance", heard_text="Your"))
    assert not spoken.cut
    whole = SpokenOn(Line("Look it up.", tools=tools))
    whole.heard(replace(CUT, text="Your balance is nine.", heard_text="Your balance", generated=True))
    assert whole.cut
    rest = whole.rest()
    assert rest is not None
    assert rest.tools == ()
    assert rest.instructions.endswith('"is nine."')


def test_a_line_that_nobody_heard_is_said_whole() -> None:
    spoken = SpokenOn(Line("Greet.", metadata={"a": "b"}))
    spoken.heard(CUT)
    assert spoken.cut
    assert spoken.rest() == spoken.line


def test_a_line_whose_last_word_was_out_is_complete() -> None:
    spoken = SpokenOn(Line("Say it."), "All of it.")
    spoken.heard(replace(CUT, heard_text="All of it.", text="All of it.", heard_ms=900))
    assert spoken.cut
    assert spoken.rest() is None
    assert spoken.all_heard().completed
    assert spoken.all_heard().heard_ms == 900
    assert spoken.all_heard().by is None
