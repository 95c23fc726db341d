"""Flows that never end, or refuse to: every simulation comes to its end and says who, why and where."""

from __future__ import annotations

import asyncio
import threading

import pytest

from voiceagent.ivr import Call, flow
from voiceagent.ivr.flow import Flow
from voiceagent.simulate import loop, virtual_loop
from voiceagent.simulate.call_sim import CallSims
from voiceagent.simulate.engine import SimResult, simulate
from voiceagent.simulate.report import transcript
from voiceagent.simulate.scenario_file import parse_scenario

SWALLOWS = "the flow (test_endless.py:"
REMEDY = "does not end with its call: it swallows its cancellation; catch Exception, not BaseException"


def played(flow: Flow, text: str = "") -> SimResult:
    return simulate(flow, parse_scenario(text), text=text)


@flow("sleeper")
async def sleeper(call: Call) -> None:
    while True:
        try:
            await asyncio.sleep(1)
        except BaseException:
            continue


@flow("spinner")
async def spinner(call: Call) -> None:
    while True:
        try:
            await asyncio.sleep(0)
        except BaseException:
            continue


@flow("talker")
async def talker(call: Call) -> None:
    while True:
        try:
            await call.say("Hello.")
        except BaseException:
            continue


@flow("chatterbox")
async def chatterbox(call: Call) -> None:
    while True:
        await call.say("Hello.")


@flow("hasty")
async def hasty(call: Call) -> None:
    await call.say("Hello.")
    while True:  # noqa: ASYNC110
        await asyncio.sleep(1e-6)


@flow("tidy")
async def tidy(call: Call) -> None:
    try:
        await call.say("Hello.")
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(20)


def test_a_flow_that_swallows_its_cancellation_is_named() -> None:
    result = played(sleeper)
    assert result.reason == "caller_hung_up"
    (failure,) = result.failures
    assert failure.what == "cancellation"
    assert failure.message.startswith(SWALLOWS)
    assert REMEDY in failure.message


def test_one_that_never_waits_is_named_too() -> None:
    circles, refusal = played(spinner).failures
    assert "the clock stands still; the flow waits at test_endless.py:" in circles.message
    assert refusal.message.startswith(SWALLOWS)


def test_one_that_goes_on_asking_after_the_end_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SPINS", 2_000)
    result = played(talker, "limit_s = 30")
    assert [one.what for one in result.failures] == ["deadlock", "cancellation"]
    assert result.failures[1].message.startswith(SWALLOWS)
    assert len(result.events) < 200, "the same step at one moment is counted, not listed"
    assert " times)" in list(transcript(result.events))[-1]


def test_cleaning_up_takes_its_time() -> None:
    assert played(tidy).ok


def test_a_flow_that_talks_for_ever_comes_to_the_limit() -> None:
    (failure,) = played(chatterbox, "limit_s = 30").failures
    assert failure.message.startswith("the call is not over after 30 s; the flow stands at step 'say'")


def test_a_clock_that_hardly_moves_comes_to_a_limit() -> None:
    (failure,) = played(hasty, "[[turn]]\nsilence_ms = 600000").failures
    assert "something runs in circles: 2" in failure.message
    assert "rounds in 1." in failure.message
    assert "the flow waits at test_endless.py:" in failure.message


def test_work_in_a_thread_that_never_comes_back_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "THREAD_WAIT_S", 0)
    monkeypatch.setattr(loop, "THREAD_LIMIT_S", 0)
    monkeypatch.setattr(virtual_loop, "THREAD_POLL_S", 0)
    done = threading.Event()

    @flow("absent")
    async def absent(call: Call) -> None:
        await asyncio.to_thread(done.wait)

    (failure,) = played(absent).failures
    done.set()
    assert "work in a thread is not done after 0 s of real time; the flow waits at" in failure.message


def test_a_test_is_told_too(call_sim: CallSims) -> None:
    call = call_sim(sleeper)
    assert call.result.reason == "caller_hung_up"
    with pytest.raises(AssertionError, match="swallows its cancellation"):
        call.close()
