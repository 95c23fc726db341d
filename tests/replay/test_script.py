"""What a replay is told by its recording: which moment a decision belongs to."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from voiceagent.replay.recording import Input
from voiceagent.replay.script import ReplayScript


def test_a_decision_that_a_later_input_brings_tells_nothing_of_the_moment_of_this_one() -> None:
    """Two inputs of one turn a millisecond apart: the first must not see the second one's time."""
    recording = SimpleNamespace(
        loop_start=100.0,
        decisions=[SimpleNamespace(t=1.001)],
        inputs=[Input(1.0, {"type": "in.note"}, before=0), Input(1.001, {"type": "in.note"}, before=0)],
        pulled=[],
        clock=[],
        ended=True,
        last=2.0,
    )
    script = ReplayScript(cast("Any", recording), stop=lambda: None)
    script.takers["note"] = lambda entry: True

    assert script.recorded_time() is None
    script.enter()
    assert script.recorded_time() == 101.001
