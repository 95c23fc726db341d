# pyright: reportPrivateUsage=false
"""Planted changes of code and flow: each is found, as the first difference that it makes, with status 1."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.kit.recorded import RecordedStory, record_story
from tests.kit.scripted_provider import Reply
from tests.replay.test_replaying import first
from voiceagent.cli.replay import run_replay
from voiceagent.ivr.verbs.base import Verbs
from voiceagent.realtime.link import RealtimeLink
from voiceagent.realtime.sequencer_core import SequencerCore
from voiceagent.realtime.sequencer_io import Progressed, SendCancel, SendCreate
from voiceagent.replay.difference import DEFAULT_TOLERANCE_S
from voiceagent.replay.replay import Report, in_words, replay_journal

FLOW = '''
from voiceagent.ivr import Call, Digits, flow

@flow("shop")
async def shop(call: Call) -> None:
    """You are a shop."""
    await call.respond("Greet the caller.")
    await call.respond("Tell a long story.")
    await call.collect("Ask for the branch.", digits=Digits(1))
    account = await call.collect("Ask for the account.", digits=Digits(2), attempts=2)
    await call.respond(f"Tell the balance of {account}.")
    await call.hangup("Goodbye.")
'''


async def act(story: RecordedStory) -> None:
    """An operator's wish waits for a long story; a key cuts that; the first question meets silence."""
    story.provider.plans += [
        Reply(text="Hello.", audio_ms=800),
        Reply(text="one two three four five six seven eight nine ten", audio_ms=9000, gap_s=0.2),
        Reply(text="It rains.", audio_ms=600),
        Reply(text="What is the account?", audio_ms=900),
        Reply(text="Please, the account.", audio_ms=900),
        Reply(text="It is 42 euros.", audio_ms=900),
        Reply(text="Goodbye.", audio_ms=600),
    ]
    await story.creates(2)
    await story.agent_speaks()
    await asyncio.sleep(0.5)
    story.call.trigger("Say that it rains.", {}, request_id="req_operator")
    await asyncio.sleep(1.0)
    story.leg.press("4")
    await story.creates(5)
    await asyncio.sleep(2.0)
    for digit in "71":
        story.leg.press(digit)
        await asyncio.sleep(0.1)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_story(tmp_path_factory.mktemp("planted"), FLOW, act)


def found(journal: Path, flows: Sequence[Path] = ()) -> Report:
    """Replay by the command, which has to say that something differs, and return the report."""
    with pytest.raises(SystemExit) as status:
        run_replay([journal], flows=flows, tolerance_ms=DEFAULT_TOLERANCE_S * 1000, as_json=True)
    assert status.value.code == 1
    return replay_journal(journal, flows=flows)


def other_flow(folder: Path, old: str, new: str) -> list[Path]:
    assert FLOW.count(old) == 1
    other = folder / "other.py"
    other.write_text(FLOW.replace(old, new), encoding="utf-8")
    return [other]


def test_a_changed_word(recorded: Path, tmp_path: Path) -> None:
    report = found(recorded, other_flow(tmp_path, "Tell a long story.", "Tell a short story."))

    assert first(report) == ("changed", "sequencer", "Submitted")
    assert report.verdict.differences[0].fields == ("body.request.instructions",)
    assert "short" in in_words(report)


def test_a_changed_reason_of_a_hold(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = SequencerCore._held

    def otherwise(self: SequencerCore, entry: Any, now: float) -> str | None:
        why = held(self, entry, now)
        return "create_in_flight" if why == "response_active" else why

    monkeypatch.setattr(SequencerCore, "_held", otherwise)
    report = found(recorded)

    assert first(report) == ("changed", "sequencer", "Notice")
    assert report.verdict.differences[0].fields == ("body.details.reason",)


def test_two_decisions_in_another_order(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = RealtimeLink._do

    def swapped(self: RealtimeLink, effects: list[Any], now: float) -> None:
        for at in range(len(effects) - 1):
            if isinstance(effects[at], SendCreate) and isinstance(effects[at + 1], Progressed):
                effects[at : at + 2] = [effects[at + 1], effects[at]]
                break
        done(self, effects, now)

    monkeypatch.setattr(RealtimeLink, "_do", swapped)
    report = found(recorded)

    kinds = {
        (one.kind, str((one.then or one.now or {}).get("event"))) for one in report.verdict.differences[:2]
    }
    assert kinds in (
        {("missing", "SendCreate"), ("extra", "SendCreate")},
        {("missing", "Progressed"), ("extra", "Progressed")},
        {("extra", "Progressed"), ("changed", "SendCreate")},
    )
    assert report.verdict.counts()["missing"] == report.verdict.counts()["extra"]


def test_a_timer_that_is_shifted_by_little(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Verbs.__init__

    def patient(self: Verbs, port: Any, **given: Any) -> None:
        later = given["no_input_s"] + DEFAULT_TOLERANCE_S + 0.005
        made(self, port, **{**given, "no_input_s": later})

    monkeypatch.setattr(Verbs, "__init__", patient)
    report = found(recorded)

    assert first(report)[0] == "time"
    assert "later than it was" in in_words(report)


def test_a_cancel_that_is_left_out(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = RealtimeLink._do

    def careless(self: RealtimeLink, effects: list[Any], now: float) -> None:
        done(self, [one for one in effects if not isinstance(one, SendCancel)], now)

    monkeypatch.setattr(RealtimeLink, "_do", careless)
    report = found(recorded)

    assert first(report) == ("missing", "sequencer", "SendCancel")


def test_another_branch_of_the_flow(recorded: Path, tmp_path: Path) -> None:
    branch = 'if account == "71":\n        await call.say("You again!")\n    '
    told = "await call.respond(f"
    report = found(recorded, other_flow(tmp_path, told, branch + told))

    one = report.verdict.differences[0]
    assert (one.kind, (one.then or {}).get("step"), (one.now or {}).get("step")) in (
        ("extra", None, "say"),
        ("changed", "respond", "say"),
        ("missing", "respond", None),
    )
