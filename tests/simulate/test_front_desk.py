"""The built-in front desk's conversations as scenarios: all of them hold, and the same twice over."""

from __future__ import annotations

from pathlib import Path

import pytest

from voiceagent.ivr.front_desk import front_desk
from voiceagent.simulate.engine import SimResult, simulate
from voiceagent.simulate.report import told
from voiceagent.simulate.scenario_file import read_scenario

SCENARIOS = sorted((Path(__file__).parent / "scenarios").glob("front_desk*.toml"))


def simulated(path: Path) -> SimResult:
    return simulate(front_desk, read_scenario(path), text=path.read_text(encoding="utf-8"), file=path.name)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_the_conversation_goes_as_its_scenario_says(path: Path) -> None:
    result = simulated(path)
    assert result.ok, told(result)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_two_runs_give_equal_journals(path: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        simulated(path).write_journal(tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
