"""What a replay is told by its recording: which moment a decision belongs to, and who ran first in a turn."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from voiceagent.replay.recording import Input
from voiceagent.replay.replay_loop import ReplayLoop
from voiceagent.replay.script import ReplayScript


def script_of(inputs: list[Input], *decided: float) -> ReplayScript:
    recording = SimpleNamespace(
        loop_start=100.0,
        decisions=[SimpleNamespace(t=at) for at in decided],
        inputs=inputs,
        pulled=[],
        clock=[],
        ended=True,
        last=2.0,
    )
    return ReplayScript(cast("Any", recording), stop=lambda: None)


def test_a_decision_that_a_later_input_brings_tells_nothing_of_the_moment_of_this_one() -> None:
    """Two inputs of one turn a millisecond apart: the first must not see the second one's time."""
    note = {"type": "in.note"}
    script = script_of([Input(1.0, note, before=0), Input(1.001, note, before=0)], 1.001)
    script.takers["note"] = lambda entry: True

    assert script.recorded_time() is None
    script.enter()
    assert script.recorded_time() == 101.001


@pytest.mark.parametrize(
    ("entry", "order"),
    [
        ({"type": "in.link", "socket": 1, "state": "opened"}, ["woken", "timed out"]),
        ({"type": "in.leg", "leg": 1, "order": "hold", "count": 1}, ["woken", "timed out"]),
        ({"type": "in.rest", "verb": "accept"}, ["woken", "timed out"]),
        ({"type": "in.link", "socket": 1, "state": "closed"}, ["timed out", "woken"]),
        ({"type": "in.leg", "leg": 1, "event": "digit"}, ["timed out", "woken"]),
    ],
)
def test_who_wrote_an_input_down_had_not_been_cancelled_in_that_turn(
    entry: dict[str, Any], order: list[str]
) -> None:
    """A time limit that ran out in the turn before cancels who has waited: it was too late for this one."""
    ran: list[str] = []
    loop = ReplayLoop(100.0)
    script = script_of([Input(1.0, entry, before=0, turn=1)])

    def wake(_: object) -> bool:
        loop.call_soon(ran.append, "woken")
        return True

    script.takers[entry["type"].removeprefix("in.")] = wake
    loop.call_soon(ran.append, "timed out")
    loop._enter(script, script.next_input())
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    assert ran == order
