"""``voiceagent flow graph``: formats, evidence from scenarios and journals, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from voiceagent.cli.main import app

ROOT = Path(__file__).parents[2]
FRONT_DESK = str(ROOT / "voiceagent" / "ivr" / "front_desk.py")
SCENARIO = """
name = "hours"
[[turn]]
says = "opening hours"
[[turn]]
hangup = true
"""


def graph(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["flow", "graph", *arguments])


def flow_of(result: Result) -> dict[str, Any]:
    return json.loads(result.stdout)["flows"][0]


def test_formats() -> None:
    assert graph(FRONT_DESK).stdout.startswith("flowchart TD\n")
    assert graph(FRONT_DESK, "--format", "dot").stdout.startswith("digraph flows {\n")
    assert flow_of(graph(FRONT_DESK, "--format", "json")) == flow_of(graph(FRONT_DESK, "--json"))
    refused = graph(FRONT_DESK, "--format", "png")
    assert refused.exit_code == 2


def test_a_scenario_and_a_journal_are_the_same_evidence(tmp_path: Path) -> None:
    scenario = tmp_path / "hours.toml"
    scenario.write_text(SCENARIO, encoding="utf-8")
    told = flow_of(graph(FRONT_DESK, "--scenario", str(scenario), "--json"))
    assert told["calls"] == 1
    assert {node["title"] for node in told["nodes"] if node["seen"]} >= {"respond", "choose", "say"}
    assert any(not node["seen"] for node in told["nodes"])
    done = CliRunner().invoke(
        app, ["flow", "simulate", FRONT_DESK, "-s", str(scenario), "--journal", str(tmp_path)]
    )
    assert done.exit_code == 0, done.stdout
    assert flow_of(graph(FRONT_DESK, "--journal", str(tmp_path), "--json")) == told


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("none.py", None, "no such file"),
        ("bad.py", "def broken(:\n", "bad.py:1"),
        ("empty.py", "x = 1\n", "declares no flow"),
        ("bad.toml", "[flow\n", "bad.toml:1"),
        ("flow.txt", "", "must end with"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_one_line(
    name: str, text: str | None, why: str, tmp_path: Path
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text, encoding="utf-8")
    result = graph(str(tmp_path / name), "--json")
    assert result.exit_code == 2
    assert why in json.loads(result.stdout)["error"]["message"]
