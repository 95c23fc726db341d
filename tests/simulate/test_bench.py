"""What ``voiceagent bench simulate`` and ``bench flows`` measure is what they claim."""

from __future__ import annotations

from pathlib import Path

import pytest

from voiceagent.bench import flows
from voiceagent.bench.flow_files import python_flow, toml_flow
from voiceagent.bench.flows import run_flows_bench
from voiceagent.bench.simulate import run_simulate_bench
from voiceagent.errors import ConfigError
from voiceagent.ivr.loading import load_flows


def test_the_measured_call_is_what_it_claims() -> None:
    figures = run_simulate_bench(1)
    assert figures["as_expected"] is True
    assert 120 <= figures["call_s"] <= 150


def test_flows_are_measured_in_every_way() -> None:
    figures = run_flows_bench(runs=1, steps=4)
    assert 120 <= figures["simulate"]["call_s"] <= 150
    assert 300 <= figures["replay"]["call_s"] <= 330
    assert figures["replay"]["decisions"] > 1000
    spreads = [
        *figures["check_s"].values(),
        *figures["check_command_s"].values(),
        figures["help_command_s"],
        figures["reload_s"],
        figures["routing"]["us_per_decision"],
        figures["simulate"]["s"],
        figures["replay"]["s"],
    ]
    for one in spreads:
        assert 0 < one["least"] <= one["median"] <= one["most"]
        assert one["cpu"] >= 0


def test_the_flows_have_so_many_steps_and_a_mistake_in_one_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert python_flow(200).count("await call.") == 200 + 1
    assert toml_flow(200).count("[steps.") == 200 + 1
    (tmp_path / "long.toml").write_text(toml_flow(6), encoding="utf-8")
    (tmp_path / "long.py").write_text(python_flow(6), encoding="utf-8")
    assert len(load_flows(sorted(tmp_path.iterdir())).flows) == 2

    same_key = python_flow(2).replace('option("2"', 'option("1"')
    monkeypatch.setattr(flows, "python_flow", lambda steps: same_key)  # pyright: ignore[reportUnknownLambdaType]
    with pytest.raises(ConfigError, match="should be sound"):
        run_flows_bench(runs=1, steps=2)
