"""The fixture ``call_sim``: acts, what is heard, and what a test is told when something is not so."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.simulate.shop import shop
from voiceagent.errors import ConfigError
from voiceagent.ivr import Call, flow
from voiceagent.ivr.front_desk import front_desk
from voiceagent.simulate import pytest_plugin
from voiceagent.simulate.call_sim import CallSims


def test_a_caller_speaks_and_presses_keys(call_sim: CallSims) -> None:
    call = call_sim(shop)
    assert "Welcome to the shop." in call.heard
    assert "Hours or orders?" in call.heard
    call.says("hours please")
    assert call.heard == "We open at nine. We close at five. On Sundays we rest."
    assert call.over
    assert call.result.outcome == "success"
    assert call.result.reason == "completed"
    assert call.steps == ["say", "choose", "say"]


def test_a_flow_comes_from_a_file_beside_the_test(call_sim: CallSims) -> None:
    call = call_sim("shop.py", called="200")
    assert "Welcome" in call.heard


def test_who_barges_in_hears_only_the_beginning(call_sim: CallSims) -> None:
    call = call_sim(front_desk)
    call.says("billing please").barges_in("thank you, I know that", at_ms=2500)
    assert "six digit account number" in call.heard
    cut = next(one for one in call.result.record.speeches if one.cut)
    assert cut.text == "Your bill has three parts. First, the"
    assert cut.full_text.startswith("Your bill has three parts. First, the monthly fee")


def test_keys_barge_in_too(call_sim: CallSims) -> None:
    call = call_sim(shop)
    call.barges_in(digits="1", at_ms=500)
    assert "We open at nine" in call.heard


def test_silence_brings_the_question_again(call_sim: CallSims) -> None:
    call = call_sim(shop)
    call.silence(7000)
    call.expect(said="I did not hear anything. Hours or orders?")


def test_who_hangs_up_ends_the_call(call_sim: CallSims) -> None:
    call = call_sim(shop)
    call.hangs_up(at_ms=800)
    assert call.result.reason == "caller_hung_up"
    assert call.result.heard == ["Welcome to"]


def test_a_hold_costs_nothing(call_sim: CallSims) -> None:
    call = call_sim(shop)
    call.holds(30_000)
    assert call.heard == ""
    call.silence(7000)
    assert "I did not hear anything" in call.heard, "silence counts from the end of the hold"
    call.says("hours")
    assert "We open at nine" in call.heard


def test_an_operator_speaks_in_between(call_sim: CallSims) -> None:
    call = call_sim(shop)
    call.operator('Say: "Your taxi is here."', metadata={"desk": "one"})
    call.expect(said="Your taxi is here.", metadata={"desk": "one"}, outcome="completed")


def test_a_test_may_wait_for_a_step(call_sim: CallSims) -> None:
    call = call_sim(front_desk)
    call.says("billing please").waits_for("respond").hangs_up(at_ms=1000)
    assert call.result.heard[-1] == "Your bill has three"


def test_what_is_not_so_is_told_with_the_transcript(call_sim: CallSims) -> None:
    call = call_sim(shop)
    with pytest.raises(AssertionError, match=r"(?s)expected to hear 'Bye'.*agent     Welcome to the shop"):
        call.expect(said="Bye")


def test_nobody_acts_after_the_end(call_sim: CallSims) -> None:
    call = call_sim(shop).says("hours")
    with pytest.raises(AssertionError, match=r"the call has ended \(completed\)"):
        call.says("hello?")


def test_there_must_be_something_to_barge_into(call_sim: CallSims) -> None:
    call = call_sim(shop).says("hours")
    with pytest.raises(AssertionError, match="nothing to barge into"):
        call.barges_in("wait", at_ms=20_000)


def test_a_step_that_never_comes_is_told(call_sim: CallSims) -> None:
    call = call_sim(shop).says("hours")
    with pytest.raises(AssertionError, match="never came to step 'transfer'; it came to say"):
        call.waits_for("transfer")


def test_a_flow_that_raises_is_no_good_result(call_sim: CallSims) -> None:
    @flow("broken")
    async def broken(call: Call) -> None:
        raise ValueError("no fruit")

    result = call_sim(broken).result
    assert not result.ok
    assert "ValueError: no fruit (test_call_sim.py:" in result.failures[0].message


def test_a_call_without_end_is_told_with_its_place(call_sim: CallSims) -> None:
    call = call_sim("shop.py", called="201", limit_s=30)
    call.silence(10_000)
    with pytest.raises(
        AssertionError, match=r"not over after 30 s; the flow stands at step 'say' \(shop.py:\d+\)"
    ):
        call.silence(60_000)


def test_a_flow_in_circles_is_told(call_sim: CallSims) -> None:
    call = call_sim("shop.py", called="202")
    with pytest.raises(AssertionError, match="the clock stands still"):
        call.silence(60_000)


def test_the_network_is_refused_with_a_remedy(call_sim: CallSims) -> None:
    call = call_sim("shop.py", called="203")
    with pytest.raises(
        AssertionError, match=r"the flow wants to connect to shop.invalid:80.*have it done by"
    ):
        call.silence(1000)


def test_a_file_with_several_flows_needs_a_name(call_sim: CallSims) -> None:
    with pytest.raises(ConfigError, match="say which flow the scenario is for: shop, waits"):
        call_sim("shop.py")
    assert "One moment" in call_sim("shop.py", name="waits").heard


def test_a_whole_scenario_is_played(call_sim: CallSims) -> None:
    assert call_sim.plays(front_desk, "scenarios/front_desk.toml").reason == "completed"
    with pytest.raises(
        AssertionError, match=r"hours.toml: turn 1 \(line 4\): expected to hear 'good morning'"
    ):
        call_sim.plays(shop, "scenarios/bad/hours.toml")


def test_the_fixture_comes_with_the_package_under_the_name_of_its_module() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    points = project["project"]["entry-points"]["pytest11"]
    assert points == {pytest_plugin.__name__: pytest_plugin.__name__}
    assert "call_sim" in vars(pytest_plugin)
