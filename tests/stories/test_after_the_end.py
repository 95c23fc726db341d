"""Verbs in a flow's ``finally``, after the call's end: none of them hangs, and nobody is called any more."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kit.voices import Played, after_ms, play_call
from tests.stories.test_playing import wav
from voiceagent.errors import CallEnded
from voiceagent.ivr import Call, Digits, flow
from voiceagent.simulate.sim_call import SimCall

TARGET = "sip:desk@example.com"

REACHING: dict[str, Callable[[Call], Awaitable[Any]]] = {
    "say": lambda call: call.say("One more thing."),
    "respond": lambda call: call.respond("Say one more thing."),
    "choose": lambda call: call.choose("Which?", hours="1"),
    "collect": lambda call: call.collect("Number?", digits=Digits(2)),
    "secret": lambda call: call.collect("PIN?", digits=Digits(4), secret=True),
    "converse": lambda call: call.converse("Ask."),
    "converse without words": lambda call: call.converse(),
    "queue": lambda call: call.queue("sales"),
    "hold": lambda call: call.hold(),
    "until_back": lambda call: call.until_back(),
    "send_digits": lambda call: call.send_digits("1"),
    "transfer": lambda call: call.transfer(TARGET),
    "attended": lambda call: call.transfer(TARGET, attended=True),
    "hangup": lambda call: call.hangup(),
    "goodbye": lambda call: call.hangup("Goodbye."),
    "record": lambda call: call.record("late"),
    "until_beep": lambda call: call.until_beep(),
}
"""Whatever would reach the caller, or somebody else on the caller's behalf."""


async def lookup() -> int:
    return 3


async def resumed(call: Call) -> None:
    assert await call.resume()


HARMLESS: dict[str, Callable[[Call], Awaitable[Any]]] = {
    "fetch": lambda call: call.fetch(lookup),
    "note": lambda call: call.note("Gone."),
    "resume": resumed,
    "stop_recording": lambda call: call.stop_recording(),
}
"""What tidies up."""


async def hangs_up(sim: SimCall) -> None:
    await sim.hang_up()


async def operator_ends(sim: SimCall) -> None:
    sim.call.end("operator")


async def provider_gone(sim: SimCall) -> None:
    sim.provider.settings = sim.provider.settings.model_copy(update={"away_ms": 60_000})
    sim.provider.lose()


ENDS = {"caller": hangs_up, "operator": operator_ends, "provider": provider_gone}


def tidied(end: str, verb: Callable[[Call], Awaitable[Any]]) -> tuple[Played, list[BaseException | None]]:
    """Play a call that is ended in the middle, whose flow uses ``verb`` in its ``finally``."""
    raised: list[BaseException | None] = []

    @flow("tidy")
    async def tidy(call: Call) -> None:
        try:
            await call.say("Our opening hours are from nine to five on weekdays.")
            await asyncio.sleep(60)
        finally:
            try:
                await verb(call)
            except BaseException as error:
                raised.append(error)
                raise
            raised.append(None)

    return play_call(tidy, after_ms(1500, ENDS[end])), raised


@pytest.mark.parametrize(
    ("name", "end"),
    # The recorded apology after the provider's loss may still be recorded.
    [one for one in itertools.product(REACHING, ENDS) if one != ("record", "provider")],
)
def test_a_verb_that_would_reach_somebody_says_that_the_call_has_ended(name: str, end: str) -> None:
    played, raised = tidied(end, REACHING[name])
    assert played.faults == []
    assert [type(one) for one in raised] == [CallEnded]
    assert not played.entries("flow.failed")
    for kind in ("transfer.started", "queue.entered", "recording.started", "digits.sent"):
        assert not played.entries(kind)


@pytest.mark.parametrize("end", ENDS)
def test_no_file_is_played_after_the_end(end: str, tmp_path: Path) -> None:
    path = wav(tmp_path)
    played, raised = tidied(end, lambda call: call.play(path))
    assert played.faults == []
    assert [type(one) for one in raised] == [CallEnded]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("name", HARMLESS)
def test_what_tidies_up_may_still_be_done(name: str, end: str) -> None:
    played, raised = tidied(end, HARMLESS[name])
    assert played.faults == []
    assert raised == [None]


@pytest.mark.parametrize("end", ENDS)
def test_an_exception_in_finally_is_told_and_changes_nothing(end: str) -> None:
    async def fails(call: Call) -> None:
        raise LookupError("no such table")

    played, _ = tidied(end, fails)
    plain, _ = tidied(end, lambda call: call.note("Fine."))
    assert played.faults == []
    assert [one["error"] for one in played.entries("flow.failed")] == ["LookupError: no such table"]
    assert played.outcome == plain.outcome


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("name", sorted({*REACHING} - {"record"}))
def test_a_flow_that_tries_for_ever_ends_all_the_same(name: str, end: str) -> None:
    tries = 0

    @flow("insistent")
    async def insistent(call: Call) -> None:
        nonlocal tries
        while True:
            try:
                await call.say("Our opening hours are from nine to five on weekdays.")
                await asyncio.sleep(60)
            except CallEnded:
                while tries < 1000:
                    tries += 1
                    with contextlib.suppress(CallEnded):
                        await REACHING[name](call)

    played = play_call(insistent, after_ms(1500, ENDS[end]))
    assert played.faults == []
    assert tries < 10
