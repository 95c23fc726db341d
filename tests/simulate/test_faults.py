"""What others give, and what goes wrong on purpose."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import httpx
import pytest

from tests.kit.virtual_loop import virtual_run
from tests.simulate.shop import shop
from voiceagent.call.watch import Watch
from voiceagent.engine.ports import BrainTurn, CallTool, Say
from voiceagent.ivr import Call, flow, tool
from voiceagent.ivr.flow import Flow
from voiceagent.simulate.engine import SimResult, simulate
from voiceagent.simulate.report import told
from voiceagent.simulate.scenario_file import parse_scenario
from voiceagent.simulate.sim_call import SimCall


def played(text: str, flow: Flow = shop) -> SimResult:
    return simulate(flow, parse_scenario(text), text=text)


@tool(timeout_s=2)
async def stock(fruit: str) -> dict[str, int]:
    """Count the fruit in stock."""
    await asyncio.sleep(0.2)
    return {fruit: 3}


@tool
async def reach(place: str) -> str:
    """Reach a place far away."""
    await asyncio.open_connection(place, 80)
    return "reached"


@tool
async def think(topic: str) -> str:
    """Think about a topic in a thread."""
    return await asyncio.to_thread(lambda: f"thoughts about {topic}")


@flow("fruit")
async def fruit(call: Call) -> None:
    """You sell fruit."""
    await call.respond("Count the stock of fruit apples.", tools=[stock])


@flow("far")
async def far(call: Call) -> None:
    """You reach out."""
    await call.respond("Reach the place shop.invalid.", tools=[reach])


@flow("thinker")
async def thinker(call: Call) -> None:
    """You think."""
    await call.respond("Think about the topic apples.", tools=[think])


def test_functions_that_the_scenario_does_not_name_run_for_real() -> None:
    result = played("", fruit)
    assert result.heard == ["The apples is 3."]
    assert played("", thinker).heard == ["Thoughts about apples."]


def test_the_scenario_answers_in_place_of_a_function() -> None:
    assert played("[tools.stock]\nresult = { apples = 7 }", fruit).heard == ["The apples is 7."]


def test_a_slow_function_takes_its_time_and_is_given_up_in_the_end() -> None:
    slow = played("[tools.stock]\nresult = 1\ndelay_ms = 1500", fruit)
    called, ended = (next(e.t for e in slow.events if e.kind == kind) for kind in ("tool", "tool_ended"))
    assert ended - called == pytest.approx(1.5, abs=0.05)
    assert "takes too long" in " ".join(played("[tools.stock]\nresult = 1\ndelay_ms = 3000", fruit).heard)


def test_a_function_that_fails_is_spoken_about() -> None:
    result = played('[tools.stock]\nerror = "the shelf is gone"', fruit)
    assert "did not work" in " ".join(result.heard)


def test_a_function_that_reaches_out_is_named() -> None:
    result = played("", far)
    (failure,) = result.failures
    assert failure.what == "network"
    assert "the tool 'reach' wants to connect to shop.invalid:80 (test_faults.py:" in failure.message
    assert "[tools.reach] result = …" in failure.message
    assert played('[tools.reach]\nresult = "done"', far).ok


@pytest.mark.parametrize("in_thread", [False, True])
@pytest.mark.parametrize(
    ("reach_out", "wish"),
    [
        (lambda: socket.create_connection(("127.0.0.1", 9)), "connect to 127.0.0.1:9"),
        (lambda: httpx.get("http://shop.invalid/"), "connect to shop.invalid:80"),
        (lambda: subprocess.run(["true"], check=False), "start a program"),
    ],
)
def test_blocking_calls_reach_nobody_either(
    reach_out: Callable[[], object], wish: str, in_thread: bool
) -> None:
    @flow("blocking")
    async def blocking(call: Call) -> None:
        await (asyncio.to_thread(reach_out) if in_thread else asyncio.sleep(0, reach_out()))

    (failure,) = played("", blocking).failures
    assert failure.what == "network"
    assert f"the flow wants to {wish} (test_faults.py:" in failure.message


def test_what_is_refused_is_told_even_if_the_flow_does_not_mind_and_once() -> None:
    @flow("stubborn")
    async def stubborn(call: Call) -> None:
        for _ in range(3):
            with suppress(Exception):
                socket.create_connection(("127.0.0.1", 9))

    (failure,) = played("", stubborn).failures
    assert "connect to 127.0.0.1:9" in failure.message


def test_only_simulated_calls_are_kept_from_the_network() -> None:
    played("", fruit)
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()


def test_answers_come_one_after_the_other() -> None:
    @flow("twice")
    async def twice(call: Call) -> None:
        for _ in range(3):
            await call.respond("Count the stock of fruit apples.", tools=[stock])

    text = "[[tools.stock]]\nresult = { apples = 1 }\n[[tools.stock]]\nresult = { apples = 2 }"
    assert played(text, twice).heard == ["The apples is 1.", "The apples is 2.", "The apples is 2."]


def test_a_lost_provider_is_survived() -> None:
    result = played('[provider]\nlost_at_ms = 600\n[[turn]]\nsays = "hours"\nexpect = { said = "nine" }')
    assert result.ok, told(result)
    assert any(event.kind == "note" and "provider.lost" in event.text for event in result.events)


def test_a_provider_that_stays_away_ends_the_call_with_an_apology() -> None:
    result = played("[provider]\nlost_at_ms = 600\naway_ms = 600000")
    assert (result.outcome, result.reason) == ("provider", "provider_lost")
    assert [event.text for event in result.events if event.kind == "line"] == ["apology"]


def test_a_refused_request_is_told_to_the_flow() -> None:
    result = played(
        "[provider]\nrefuse_creates = 1\n[[turn]]\nexpect = { outcome = 'rejected', not_said = 'welcome' }"
    )
    assert result.ok, told(result)


def test_a_slow_provider_is_bridged_by_a_line() -> None:
    result = played(
        "[provider]\nfirst_audio_ms = 2500\n[[turn]]\nexpect = { said = 'welcome', latency_ms = 2700 }"
    )
    assert result.ok, told(result)
    assert "moment" in [event.text for event in result.events if event.kind == "line"]


def test_a_flow_that_raises_fails_its_scenario_where_that_is_told() -> None:
    @flow("broken")
    async def broken(call: Call) -> None:
        await call.say("Hello.")
        raise ValueError(timedelta(seconds=1))

    text = '[expect]\noutcome = "success"'
    (failure,) = played(text, broken).failures
    assert "expected outcome 'success', but it was ours (flow_failed): ValueError" in failure.message


@pytest.mark.parametrize(
    ("expect", "failures"),
    [
        ("", ["flow_failed"]),
        ("[expect]\nsteps = ['say']", ["flow_failed"]),
        ("[expect]\nreason = 'flow_failed'", []),
        ("[expect]\noutcome = 'ours'", []),
        ("[expect]\nreason = 'completed'", ["reason"]),
    ],
)
def test_a_flow_that_raises_fails_every_scenario_that_does_not_expect_it(
    expect: str, failures: list[str]
) -> None:
    @flow("broken")
    async def broken(call: Call) -> None:
        await call.say("Hello.")
        raise ValueError("no\nfruit")

    result = played(expect, broken)
    assert [one.what for one in result.failures] == failures
    for one in result.failures:
        assert "ValueError: no fruit (test_faults.py:" in one.message


def test_a_callee_answers_or_does_not() -> None:
    @flow("caller")
    async def caller(call: Call) -> None:
        await call.say("This is your reminder.")

    ours = 'direction = "outbound"\ncalled = "+442079460018"\nmetadata = { case = "7" }\n'
    result = played(f"{ours}[[turn]]\nexpect = {{ said = 'reminder', metadata = {{ case = '7' }} }}", caller)
    assert result.ok, told(result)
    busy = played(f"{ours}[answer]\nstatus = 486\n[expect]\noutcome = 'caller'\nreason = 'busy'", caller)
    assert busy.ok, told(busy)


@pytest.mark.parametrize(("status", "heard"), [(200, "whispered"), (486, "busy now")])
def test_an_attended_transfer_calls_the_target(status: int, heard: str) -> None:
    @flow("desk")
    async def desk(call: Call) -> None:
        await call.say("I put you through.")
        outcome = await call.transfer("sip:desk@example.com", attended=True, whisper="A caller.")
        await call.say(f"They are busy now: {outcome.status}.")

    result = played(f"[transfer]\nstatus = {status}", desk)
    assert "A caller." not in " ".join(result.heard), "a whisper is not for the caller"
    if heard == "whispered":
        assert result.transferred_to == "sip:desk@example.com"
    else:
        assert result.heard[-1] == "They are busy now: 486."


def test_a_model_that_fails_is_a_failed_response() -> None:
    def broken(turn: BrainTurn) -> list[Say | CallTool]:
        raise ValueError("no idea")

    async def live() -> SimCall:
        call = SimCall(shop, parse_scenario(""), brain=broken)
        call.start()
        await call.finish()
        return call

    call = virtual_run(live())
    assert {one.outcome for one in call.record.asked.values()} == {"failed"}


async def test_a_simulation_does_not_run_inside_a_loop() -> None:
    with pytest.raises(RuntimeError, match="from a plain function, not async"):
        played("")


def test_a_fault_of_the_call_handler_fails_the_scenario(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Watch) -> None:
        raise LookupError("a bug of ours")

    monkeypatch.setattr(Watch, "start", broken)
    failures = played("").failures
    assert "the call handler failed: LookupError: a bug of ours" in failures[0].message
