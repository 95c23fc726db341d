"""Calls with operators in them, lived again: who listened and who spoke is decided the same."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.kit.recorded import RecordedStory, record_story
from tests.kit.scripted_provider import Reply
from voiceagent.call.notes import take_note
from voiceagent.errors import RequestRefused
from voiceagent.media import g711
from voiceagent.media.tones import sine
from voiceagent.replay.explain import explain_journal
from voiceagent.replay.replay import in_words, replay_journal

FLOW = '''
from voiceagent.ivr import Call, flow

@flow("shop")
async def shop(call: Call) -> None:
    """You are a shop."""
    await call.respond("Greet the caller.")
    await call.respond("Tell a story.")
    await call.hangup("Goodbye.")
'''


def types(journal: Path) -> list[str]:
    return [json.loads(line)["type"] for line in journal.read_text("utf-8").splitlines()]


async def listened_to(story: RecordedStory) -> None:
    story.provider.default = Reply(text="Well then.", audio_ms=3000)
    await story.agent_speaks()
    ann = story.call.listening.join("ann")
    await asyncio.sleep(1.0)
    story.call.listening.join("ben")
    await asyncio.sleep(1.0)
    ann.leave()


async def taken_over(story: RecordedStory) -> None:
    story.provider.default = Reply(text="Well then.", audio_ms=3000)
    await story.agent_speaks()
    ann = story.call.listening.join("ann")
    await story.call.operating.take_over("ann")
    voice, quiet = g711.encode(sine(300, 20)), b"\xff" * 160
    for number in range(200):
        ann.voice(voice if number < 60 else quiet)
        story.leg.hears(quiet)
        await asyncio.sleep(0.02)
    await story.caller_says("Thank you.")
    handing = asyncio.ensure_future(story.call.operating.hand_back("ann"))
    for _ in range(50):
        story.leg.hears(quiet)
        await asyncio.sleep(0.02)
    await handing


async def lost(story: RecordedStory) -> None:
    story.provider.default = Reply(text="Well then.", audio_ms=3000)
    await story.agent_speaks()
    ann = story.call.listening.join("ann")
    await story.call.operating.take_over("ann")
    for _ in range(30):
        ann.voice(b"\xff" * 160)
        await asyncio.sleep(0.02)
    ann.leave()
    await asyncio.sleep(12)


@pytest.mark.parametrize("act", [taken_over, lost])
def test_a_call_that_was_taken_over_is_lived_again(
    tmp_path: Path, act: Callable[[RecordedStory], Awaitable[None]]
) -> None:
    journal = record_story(tmp_path, FLOW, act)
    told = types(journal)
    assert "operator.take_over" in told
    assert "operator.hand_back" in told
    report = replay_journal(journal)
    assert report.same, in_words(report)
    assert report.verdict.compared > 20


def test_a_call_that_was_listened_to_is_lived_again(tmp_path: Path) -> None:
    journal = record_story(tmp_path, FLOW, listened_to)
    assert types(journal).count("operator.listen") == 2
    assert types(journal).count("operator.listen_ended") == 2
    report = replay_journal(journal)
    assert report.same, in_words(report)
    assert report.verdict.compared > 20


NOTES = '''
from voiceagent.ivr import Call, flow

@flow("shop")
async def shop(call: Call) -> None:
    """You are a shop."""
    await call.record()
    await call.respond("Greet the caller.")
    await call.respond("Tell a story.")
    await call.hangup("Goodbye.")
'''


async def noted(story: RecordedStory) -> None:
    story.provider.default = Reply(text="Well then.", audio_ms=3000)
    with pytest.raises(RequestRefused):
        take_note(story.call, "Too early.", "ann", "n0")
    await story.agent_speaks()
    take_note(story.call, "The parcel is late.", "ann", "n1", {"desk": "1"})
    story.call.operating.pause_recording("ann")
    await asyncio.sleep(1.0)
    story.call.operating.resume_recording("ann")
    take_note(story.call, "He is cross.", "ben", "n2")


def test_a_call_with_notes_and_pauses_is_lived_again(tmp_path: Path) -> None:
    journal = record_story(tmp_path, NOTES, noted)
    assert types(journal).count("operator.note") == 2
    assert types(journal).count("recording.paused") == 1
    report = replay_journal(journal)
    assert report.same, in_words(report)
    told = [one.text for one in explain_journal(journal)]
    assert any(one.startswith("ann tells the agent: ") and "parcel is late" in one for one in told)


def test_a_note_that_is_not_taken_again_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = record_story(tmp_path, NOTES, noted)

    def nothing(*_: object) -> None: ...

    monkeypatch.setattr("voiceagent.replay.live_again.take_note", nothing)
    assert not replay_journal(journal).same
