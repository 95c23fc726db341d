"""A line of several parts, divided by ``Then:``: what a question's second attempt is made of."""

from __future__ import annotations

import pytest

from voiceagent.engine.brain_rules import decide
from voiceagent.engine.ports import BrainTurn, Say


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            'Say "Sorry, I did not hear anything." Then: Offer tea, or coffee.',
            ["Sorry, I did not hear anything.", "You can say tea, or coffee."],
        ),
        (
            'Say "Sorry." Then: Ask: "Tea?" Then: Say "Press 1 for tea."',
            ["Sorry.", "Tea?", "Press 1 for tea."],
        ),
        ('Say "And then: the end."', ["And then: the end."]),
        ("Then: Greet the caller.", ["Hello, and thank you for calling. How can I help you?"]),
    ],
)
def test_each_part_is_performed_by_itself(line: str, said: list[str]) -> None:
    turn = BrainTurn(session_instructions="Be brief.", instructions=f"Be brief.\n\n{line}", items=())
    assert [one.text for one in decide(turn) if isinstance(one, Say)] == said
