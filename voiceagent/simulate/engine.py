"""Runs a scenario against a flow, on a clock of its own and without a network, and says what came of it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voiceagent.call.config import CallConfig
from voiceagent.errors import ConfigError
from voiceagent.ivr.flow import Flow
from voiceagent.ivr.routing.patterns import normal_number
from voiceagent.records.journal import plain
from voiceagent.simulate.ending import Refusal, end_loop, places
from voiceagent.simulate.judge import Failure, judge, stands_at, transferred_to
from voiceagent.simulate.loop import SimulationLoop, new_runner
from voiceagent.simulate.record import Event, Record, Speech
from voiceagent.simulate.scenario import Scenario, Turn, texts
from voiceagent.simulate.scenario_file import line_of
from voiceagent.simulate.sim_call import SimCall
from voiceagent.simulate.surroundings import NO_SETTINGS, Surroundings
from voiceagent.simulate.virtual_loop import VirtualDeadlock


@dataclass(slots=True)
class SimResult:
    """What came of one simulated call."""

    name: str
    scenario: Scenario
    record: Record
    failures: list[Failure] = field(default_factory=list[Failure])
    file: str = ""
    """The scenario's file, where it has one."""

    @property
    def ok(self) -> bool:
        """True when everything was as expected."""
        return not self.failures

    @property
    def events(self) -> list[Event]:
        """What happened, in order."""
        return self.record.events

    @property
    def outcome(self) -> str:
        """How the call ended: success, caller, ours, provider; empty when it never did."""
        return str((self.record.ended or {}).get("outcome", ""))

    @property
    def reason(self) -> str:
        """The code that ended it."""
        return str((self.record.ended or {}).get("reason", ""))

    @property
    def duration_s(self) -> float:
        """Seconds of the call's own clock."""
        ended = self.record.ended
        return float(ended["duration_s"]) if ended else (self.events[-1].t if self.events else 0.0)

    @property
    def steps(self) -> list[str]:
        """The flow's steps in order."""
        return [event.text for event in self.events if event.kind == "step"]

    @property
    def heard(self) -> list[str]:
        """What the caller heard of the agent, response by response."""
        return [event.text for event in self.events if isinstance(event, Speech)]

    @property
    def transferred_to(self) -> str:
        """To whom the caller was handed; empty where to nobody."""
        return transferred_to(self.record)

    def write_journal(self, path: Path) -> None:
        """Write the call's journal, in the format of real ones."""
        with path.open("w", encoding="utf-8", errors="backslashreplace") as file:
            for entry in self.record.journal:
                file.write(json.dumps(entry, default=plain, ensure_ascii=False, separators=(",", ":")) + "\n")


def pick_flow(flows: Iterable[Flow], scenario: Scenario) -> Flow:
    """Return the flow that a scenario is for: by name, by the number called, or the only one.

    Raises ConfigError when it names none, or none of these. Routes of the settings have no say here.
    """
    all_flows = tuple(flows)
    names = ", ".join(one.name for one in all_flows)
    if scenario.flow is not None:
        for one in all_flows:
            if one.name == scenario.flow:
                return one
        raise ConfigError("flow", f"there is no flow {scenario.flow!r}; there is {names}")
    if len(all_flows) == 1:
        return all_flows[0]
    called = normal_number(scenario.called or "")
    for one in all_flows:
        if scenario.called and called in map(normal_number, one.numbers):
            return one
    raise ConfigError("flow", f"say which flow the scenario is for: {names}")


def simulate(
    flow: Flow,
    scenario: Scenario,
    *,
    around: Surroundings = NO_SETTINGS,
    config: CallConfig | None = None,
    text: str = "",
    file: str = "",
    inputs: bool = False,
) -> SimResult:
    """Simulate one call of ``flow``. Must not be called from a running event loop.

    ``around`` is what the settings say; ``config`` goes before its limits. ``text`` is the scenario's
    source and ``file`` its name: failures then name lines. ``inputs``: the journal holds what a replay needs.
    """
    not_in_a_loop()
    around = around if config is None else dataclasses.replace(around, config=config)
    loops: list[SimulationLoop] = []
    made: list[SimCall] = []

    async def run() -> Failure | None:
        call = SimCall(flow, scenario, around=around, inputs=inputs)
        made.append(call)
        return await play(call)

    stopped: Failure | None = None
    refusals: list[Refusal] = []
    runner = new_runner(loops)
    runner.get_loop()
    try:
        stopped = runner.run(run())
    except VirtualDeadlock as error:
        stopped = stuck(made[0].record, str(error), loops[0])
    finally:
        refusals = end_loop(runner, loops[0])
    record = made[0].record
    failures = [Failure(None, "cancellation", one.message) for one in refusals]
    failures += [Failure(None, "network", one) for one in dict.fromkeys(map(str, loops[0].refused))]
    told = bool(failures)
    failures += [one for one in judge(scenario, record) if not (told and one.what == "flow_failed")]
    if stopped is not None:
        failures.insert(0, stopped)
    failures = [dataclasses.replace(one, line=_line(text, one)) for one in failures]
    return SimResult(scenario.name or flow.name, scenario, record, failures, file)


def not_in_a_loop() -> None:
    """Raise RuntimeError inside a running event loop: a simulation has a loop of its own, which blocks."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError("a simulation has a loop of its own: call it from a plain function, not async")


def stuck(record: Record, why: str, loop: SimulationLoop) -> Failure:
    """Return the failure of a call that can never go on, or never ends."""
    there = ", ".join(places(loop))
    waits = f"; the flow waits at {there}" if there else ""
    return Failure(None, "deadlock", f"the call cannot come to its end: {why}{waits}{stands_at(record)}")


def _line(text: str, failure: Failure) -> int | None:
    if not text:
        return None
    if failure.turn is None:
        return line_of(text, ("expect", failure.what))
    return line_of(text, ("turn", failure.turn, "expect", failure.what))


async def play(call: SimCall) -> Failure | None:
    """Play a scenario to its end; return what stopped it, if anything did."""
    limit_s = call.scenario.limit_s
    try:
        async with asyncio.timeout(limit_s):
            call.start()
            problem = await _turns(call)
    except TimeoutError:
        place = stands_at(call.record)
        await call.give_up()
        return Failure(None, "limit", f"the call is not over after {limit_s:g} s{place}")
    if call.crash is not None:
        about = f"{type(call.crash).__name__}: {call.crash}"
        return Failure(None, "internal", f"the call handler failed: {about}{stands_at(call.record)}")
    return problem


async def _turns(call: SimCall) -> Failure | None:
    since = 0
    for number, turn in enumerate(call.scenario.turns):
        problem = await when_to_act(call, turn, since)
        if problem is None and call.over and turn.act:
            ended = call.record.ended or {}
            problem = f"the caller cannot act any more: the call has ended ({ended.get('reason', 'unknown')})"
        if problem is not None:
            await call.finish()
            return Failure(number, turn.act or "turn", problem)
        since = len(call.record.events)
        call.begin_turn(number, turn.act)
        await act(call, turn, number)
    await call.finish()
    return None


async def when_to_act(call: SimCall, turn: Turn, since: int) -> str | None:
    """Wait for the moment of a turn; return what is wrong with it, or None."""
    pause_ms = call.scenario.after_ms if turn.after_ms is None else turn.after_ms
    if turn.wait_for is not None and not await call.until_steps(texts(turn.wait_for), since):
        steps = ", ".join(e.text for e in call.record.events[since:] if e.kind == "step") or "none"
        wanted = ", ".join(map(repr, texts(turn.wait_for)))
        return f"the flow never came to step {wanted}; it came to {steps}"
    if turn.barge_in_at_ms is not None:
        if not await call.until_voice(turn.barge_in_at_ms):
            return f"nothing to barge into: {turn.barge_in_at_ms} ms on, the agent does not speak (any more)"
        return None
    if turn.wait_for is None and (turn.act or since):
        await call.until_done()
    if turn.act and not call.over:
        await call.wait(pause_ms)
    return None


async def act(call: SimCall, turn: Turn, number: int | None = None) -> None:
    """Do what the caller does in a turn."""
    if turn.says is not None:
        await call.say(turn.says, turn.lasts_ms, turn=number)
    elif turn.digits is not None:
        await call.press(turn.digits, turn.pace_ms, turn=number)
    elif turn.silence_ms is not None:
        await call.wait(turn.silence_ms)
    elif turn.holds_ms is not None:
        await call.hold(turn.holds_ms)
    elif turn.hangup:
        await call.hang_up()
    elif turn.operator is not None:
        call.operator(turn.operator)


def result_as_json(result: SimResult, *, events: bool) -> dict[str, Any]:
    """Return a result as plain values."""
    found: dict[str, Any] = {
        "name": result.name,
        "file": result.file,
        "ok": result.ok,
        "outcome": result.outcome,
        "reason": result.reason,
        "duration_s": round(result.duration_s, 3),
        "steps": result.steps,
        "transferred_to": result.transferred_to,
        "failures": [
            {"turn": None if one.turn is None else one.turn + 1, "line": one.line, "what": one.what}
            | {"message": one.message}
            for one in result.failures
        ],
    }
    if events:
        found["events"] = [event_as_json(event) for event in result.events]
    return found


def event_as_json(event: Event) -> dict[str, Any]:
    """Return an event as plain values."""
    found: dict[str, Any] = {"t": round(event.t, 3), "kind": event.kind, "text": event.text}
    if isinstance(event, Speech):
        found |= {
            "until": event.until and round(event.until, 3),
            "cut": event.cut,
            "full_text": event.full_text,
        }
    return found | ({"details": dict(event.details)} if event.details else {})
