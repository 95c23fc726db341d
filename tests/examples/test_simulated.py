"""Every example is checked, drawn, and simulated with every one of its scenarios."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from voiceagent.app.simulating import surroundings_of
from voiceagent.call.targets import TargetRules
from voiceagent.cli.main import app
from voiceagent.ivr.check.allowed import Allowed
from voiceagent.ivr.check.files import check_file
from voiceagent.ivr.loading import load_flows
from voiceagent.replay.replay import in_words, replay_journal
from voiceagent.settings import load_settings
from voiceagent.simulate.engine import simulate
from voiceagent.simulate.report import told
from voiceagent.simulate.scenario_file import read_scenario

ROOT = Path(__file__).parents[2]
SETTINGS = ROOT / "examples" / "voiceagent.toml"
FLOWS = [ROOT / name for name in load_settings(SETTINGS).flows]
SCENARIOS = sorted((ROOT / "examples" / "scenarios").rglob("*.toml"))
OF_THE_ISSUE = {"front_desk", "appointment", "pin_entry", "survey", "warm_transfer", "opening_hours"}


def flow_of(scenario: Path) -> Path:
    return next(path for path in FLOWS if path.stem == scenario.parent.name)


def test_every_flow_among_the_examples_is_served_and_those_that_matter_have_scenarios() -> None:
    assert all(path.is_file() for path in FLOWS)
    scenarios = [scenario.parent.name for scenario in SCENARIOS]
    assert {name: scenarios.count(name) for name in OF_THE_ISSUE if scenarios.count(name) < 2} == {}


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.stem)
def test_it_is_checked(path: Path) -> None:
    targets = TargetRules(load_settings(SETTINGS).call.transfer_targets)
    assert [str(one) for one in check_file(path, Allowed(targets)).findings] == []


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.stem)
def test_it_is_drawn(path: Path) -> None:
    drawn = CliRunner().invoke(app, ["flow", "graph", str(path)])
    assert drawn.exit_code == 0, drawn.output
    assert drawn.output.startswith("flowchart TD")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_it_is_simulated_and_replayed(scenario: Path, tmp_path: Path) -> None:
    flow = next(iter(load_flows([flow_of(scenario)], http_hosts=None)))
    result = simulate(flow, read_scenario(scenario), around=surroundings_of(SETTINGS), inputs=True)
    assert result.ok, told(result, verbose=True)
    result.write_journal(tmp_path / "call.jsonl")
    report = replay_journal(tmp_path / "call.jsonl")
    assert report.same, in_words(report)
