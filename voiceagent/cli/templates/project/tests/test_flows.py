"""The flows of this project, called by a simulated caller: no phone, no network, no waiting."""

from __future__ import annotations

from voiceagent.simulate.call_sim import CallSims

FRONT_DESK = "../flows/front_desk.py"
OPENING_HOURS = "../flows/opening_hours.toml"


def test_a_caller_asks_for_an_order(call_sim: CallSims) -> None:
    call = call_sim(FRONT_DESK, fetch={"order_state": "still being packed"})
    assert "Thank you for calling" in call.heard
    call.says("my order")
    call.presses("234200")
    assert "still being packed" in call.heard
    assert call.result.outcome == "success"


def test_who_says_nothing_gets_a_person(call_sim: CallSims) -> None:
    call = call_sim(FRONT_DESK)
    call.silence(60_000)
    assert "transfer" in call.steps


def test_the_scenarios_hold(call_sim: CallSims) -> None:
    call_sim.plays(FRONT_DESK, "../scenarios/order.toml")
    call_sim.plays(OPENING_HOURS, "../scenarios/opening_hours.toml")
