"""A simulated call in the hands of a test: the caller acts, what was heard is looked at in between.

::

    def test_hours(call_sim):
        call = call_sim("shop.py", called="200")
        assert "welcome" in call.heard
        call.says("opening hours")
        assert "nine to five" in call.heard
        call.hangs_up()
        assert call.result.outcome == "success"

An act waits until the agent is done, unless it barges in; looking at :attr:`CallSim.heard` waits, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from voiceagent.call.config import CallConfig
from voiceagent.errors import ConfigError
from voiceagent.ivr.flow import Flow
from voiceagent.ivr.loading import load_flows
from voiceagent.simulate.ending import end_loop
from voiceagent.simulate.engine import SimResult, act, not_in_a_loop, pick_flow, simulate, stuck, when_to_act
from voiceagent.simulate.judge import judge, judge_turn, stands_at
from voiceagent.simulate.loop import SimulationLoop, new_runner
from voiceagent.simulate.record import Speech
from voiceagent.simulate.report import told, transcript
from voiceagent.simulate.scenario import Answer, Expectation, Operator, Scenario, Turn
from voiceagent.simulate.scenario_file import read_scenario_and_text
from voiceagent.simulate.sim_call import SimCall
from voiceagent.simulate.surroundings import NO_SETTINGS, Surroundings
from voiceagent.simulate.virtual_loop import VirtualDeadlock

T = TypeVar("T")


class CallSim:
    """One simulated call. Not for use inside a running event loop: its clock is its own.

    Whatever goes wrong in the simulation itself is an AssertionError that holds the transcript so far.
    """

    def __init__(self, flow: Flow, scenario: Scenario, around: Surroundings = NO_SETTINGS) -> None:
        not_in_a_loop()
        self._loops: list[SimulationLoop] = []
        self._runner = new_runner(self._loops)
        self._runner.get_loop()
        self._scenario = scenario
        self._turn = 0
        self._since = 0
        self._result: SimResult | None = None
        self._closed = False
        self._name = scenario.name or flow.name
        self._until = 0.0
        try:
            self._call = self._run(self._begin(flow, around))
        except BaseException:
            end_loop(self._runner, self._loops[0])
            raise

    async def _begin(self, flow: Flow, around: Surroundings) -> SimCall:
        self._until = asyncio.get_running_loop().time() + self._scenario.limit_s
        call = SimCall(flow, self._scenario, around=around)
        call.start()
        call.begin_turn(0, "")
        return call

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run the loop until ``work`` is done."""

        async def limited() -> T:
            async with asyncio.timeout_at(self._until or None):
                return await work

        try:
            done = self._runner.run(limited())
        except VirtualDeadlock as error:
            raise AssertionError(
                self._with_transcript(stuck(self._call.record, str(error), self._loops[0]).message)
            ) from None
        except TimeoutError:
            place = stands_at(self._call.record)
            message = f"the call is not over after {self._scenario.limit_s:g} s{place}"
            raise AssertionError(self._with_transcript(message)) from None
        if self._loops[0].refused:
            raise AssertionError(self._with_transcript(str(self._loops[0].refused[0])))
        return done

    def _with_transcript(self, message: str) -> str:
        return f"{message}\n{self.transcript}"

    # ── acts ────────────────────────────────────────────────────────────────────────────────────
    def says(self, text: str, *, lasts_ms: int | None = None, after_ms: int | None = None) -> CallSim:
        """The caller says something once the agent is done."""
        return self._act(Turn(says=text, lasts_ms=lasts_ms, after_ms=after_ms))

    def presses(self, digits: str, *, pace_ms: int = 250, after_ms: int | None = None) -> CallSim:
        """The caller presses keys once the agent is done."""
        return self._act(Turn(digits=digits, pace_ms=pace_ms, after_ms=after_ms))

    def barges_in(
        self, text: str = "", *, digits: str | None = None, at_ms: int = 1000, lasts_ms: int | None = None
    ) -> CallSim:
        """The caller speaks (or presses keys) so long after the agent's voice is heard, while it speaks."""
        if digits is not None:
            return self._act(Turn(digits=digits, barge_in_at_ms=at_ms))
        return self._act(Turn(says=text, lasts_ms=lasts_ms, barge_in_at_ms=at_ms))

    def silence(self, ms: int) -> CallSim:
        """The caller says nothing for so long, once the agent is done."""
        return self._act(Turn(silence_ms=ms))

    def holds(self, ms: int) -> CallSim:
        """The caller's side puts us on hold for so long, once the agent is done."""
        return self._act(Turn(holds_ms=ms))

    def hangs_up(self, *, at_ms: int | None = None) -> CallSim:
        """The caller hangs up once the agent is done, or so long into its speech."""
        return self._act(Turn(hangup=True, barge_in_at_ms=at_ms))

    def operator(
        self, instructions: str, *, when: str = "idle", metadata: Mapping[str, str] | None = None
    ) -> CallSim:
        """An operator makes the agent speak, once the agent is done."""
        wish = {"instructions": instructions, "when": when, "metadata": dict(metadata or {})}
        return self._act(Turn(operator=Operator.model_validate(wish)))

    def waits_for(self, step: str) -> CallSim:
        """The caller waits until the flow reaches a step; the next act follows at once."""
        return self._act(Turn(wait_for=step), keep_waiting=True)

    def _act(self, turn: Turn, *, keep_waiting: bool = False) -> CallSim:
        async def run() -> str | None:
            problem = await when_to_act(self._call, turn, self._since)
            if problem is None and self._call.over and turn.act:
                problem = f"the caller cannot act any more: the call has ended ({self._reason})"
            if problem is None and not keep_waiting:
                self._turn += 1
                self._since = len(self._call.record.events)
                self._call.begin_turn(self._turn, turn.act)
                await act(self._call, turn, self._turn)
            return problem

        problem = self._run(run())
        if problem is not None:
            raise AssertionError(self._with_transcript(problem))
        return self

    # ── looking ─────────────────────────────────────────────────────────────────────────────────
    @property
    def heard(self) -> str:
        """What the caller has heard of the agent since the last act; waits until the agent is done."""
        self._run(self._call.until_done())
        events = self._call.record.between(self._turn)
        return " ".join(event.text for event in events if isinstance(event, Speech))

    @property
    def step(self) -> str:
        """The flow's present step; waits until the agent is done."""
        self._run(self._call.until_done())
        return self._call.record.step

    @property
    def steps(self) -> list[str]:
        """All steps so far."""
        return [event.text for event in self._call.record.events if event.kind == "step"]

    @property
    def over(self) -> bool:
        """True when the call has ended; waits until the agent is done."""
        self._run(self._call.until_done())
        return self._call.over

    @property
    def transcript(self) -> str:
        """All that has happened so far, with times."""
        return "\n".join(transcript(self._call.record.events))

    @property
    def _reason(self) -> str:
        return str((self._call.record.ended or {}).get("reason", "unknown"))

    def expect(self, **wished: Any) -> CallSim:
        """Assert of the time since the last act what a turn's ``expect`` can say: ``said``, ``step`` …"""
        self._run(self._call.until_done())
        expectation = Expectation.model_validate(wished)
        failures = judge_turn(expectation, self._call.record, self._turn, None)
        if failures:
            lines = "\n".join(one.message for one in failures)
            raise AssertionError(self._with_transcript(lines))
        return self

    @property
    def result(self) -> SimResult:
        """What came of the call. A caller who is still there hangs up once the agent is done."""
        if self._result is None:
            self._run(self._call.finish())
            if self._call.crash is not None:
                raise self._call.crash
            failures = judge(self._scenario, self._call.record)
            self._result = SimResult(self._name, self._scenario, self._call.record, failures)
        return self._result

    def close(self) -> None:
        """End the simulation, wherever the call is. AssertionError for a flow that refuses to end."""
        if self._closed:
            return
        self._closed = True
        try:
            if not self._call.over:
                self._until = 0.0
                self._runner.run(self._call.give_up())
        except (AssertionError, RuntimeError):
            pass  # it was told when it happened
        refusals = end_loop(self._runner, self._loops[0])
        if refusals:
            raise AssertionError(self._with_transcript(refusals[0].message))


class CallSims:
    """Makes simulated calls for one test; ``folder`` is where relative paths begin.

    ``settings`` reads settings files; without it there are none.
    """

    def __init__(self, folder: Path, settings: Callable[[Path], Surroundings] | None = None) -> None:
        self._folder = folder
        self._read = settings
        self._made: list[CallSim] = []

    def __call__(
        self,
        flow: Flow | str | Path,
        *,
        tools: Mapping[str, Any] | None = None,
        fetch: Mapping[str, Any] | None = None,
        config: CallConfig | None = None,
        settings: str | Path | None = None,
        name: str | None = None,
        **facts: Any,
    ) -> CallSim:
        """Begin a call of ``flow`` (a flow, or a file with one; ``name`` picks one of several).

        ``settings`` is the service's settings file: limits, allowed transfers, queues. ``config`` goes before
        its limits. Without both every transfer is allowed, and every queue exists.

        ``facts`` are what a scenario says of the call: ``caller``, ``called``, ``headers``, ``provider`` …
        ``tools`` and ``fetch`` hold results by name, in place of real functions; exceptions are raised.
        """
        planned = {"tools": _answers(tools), "fetch": _answers(fetch), "flow": name, **facts}
        story = Scenario.model_validate(planned)
        made = CallSim(self._flow(flow, story), story, self._around(settings, config))
        self._made.append(made)
        return made

    def plays(
        self,
        flow: Flow | str | Path,
        scenario: str | Path,
        *,
        config: CallConfig | None = None,
        settings: str | Path | None = None,
    ) -> SimResult:
        """Play a scenario's file against a flow; assert that all goes as it says."""
        path = self._path(scenario)
        story, text = read_scenario_and_text(path)
        around = self._around(settings, config)
        result = simulate(self._flow(flow, story), story, around=around, text=text, file=path.name)
        if not result.ok:
            raise AssertionError(told(result))
        return result

    def _flow(self, flow: Flow | str | Path, scenario: Scenario) -> Flow:
        return flow if isinstance(flow, Flow) else pick_flow(load_flows([self._path(flow)], None), scenario)

    def _around(self, settings: str | Path | None, config: CallConfig | None) -> Surroundings:
        if settings is not None and self._read is None:
            raise ConfigError("settings", "cannot be read here: use the fixture call_sim")
        read = self._read
        around = NO_SETTINGS if settings is None or read is None else read(self._path(settings))
        return around if config is None else replace(around, config=config)

    def _path(self, path: str | Path) -> Path:
        beside = self._folder / path
        return beside if beside.exists() else Path(path)

    def close(self) -> None:
        """End all of them. AssertionError for a flow that refuses to end."""
        problems: list[AssertionError] = []
        for one in self._made:
            try:
                one.close()
            except AssertionError as problem:
                problems.append(problem)
        if problems:
            raise problems[0]


def _answers(given: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: _answer(value) for name, value in (given or {}).items()}


def _answer(value: Any) -> Any:
    if isinstance(value, Answer):
        return value
    if isinstance(value, BaseException):
        return Answer(error=str(value))
    return Answer(result=value)
