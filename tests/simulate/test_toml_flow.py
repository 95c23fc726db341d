"""A flow in TOML is simulated like one in Python; its endpoint answers as the scenario says."""

from __future__ import annotations

from pathlib import Path

from voiceagent.ivr.loading import load_flows
from voiceagent.simulate.call_sim import CallSims
from voiceagent.simulate.engine import pick_flow, simulate
from voiceagent.simulate.scenario_file import parse_scenario

DESK = Path(__file__).parent / "desk.toml"
STORY = """
[[turn]]
expect = { said = "Welcome to the desk", step = ["greet", "menu"] }
[[turn]]
says = "my balance"
expect = { step = "account" }
[[turn]]
digits = "4711#"
expect = { said = ["Your balance is", "42 euros"], step = ["lookup", "tell", "bye"] }
"""


def test_the_steps_of_the_file_are_the_steps_of_the_call(call_sim: CallSims) -> None:
    call = call_sim("desk.toml", fetch={"lookup": "42 euros"})
    call.says("my balance").presses("4711#")
    assert "42 euros" in call.heard
    assert call.steps == ["greet", "menu", "account", "lookup", "tell", "bye"]
    assert call.result.reason == "completed"


def test_an_endpoint_without_an_answer_is_named() -> None:
    scenario = parse_scenario("[fetch.lookup]\nresult = '42 euros'" + STORY)
    flow = pick_flow(load_flows([DESK], None), scenario)
    assert simulate(flow, scenario).ok
    failures = simulate(flow, parse_scenario(STORY)).failures
    assert failures[0].what == "network"
    assert "the fetch 'lookup' wants to ask an endpoint" in failures[0].message
    assert "[fetch.lookup] result = …" in failures[0].message
