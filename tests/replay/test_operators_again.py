"""Calls with operators in them, lived again: who listened and who spoke is decided the same."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tests.kit.recorded import RecordedStory, record_story
from tests.kit.scripted_provider import Reply
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


def test_a_call_that_was_listened_to_is_lived_again(tmp_path: Path) -> None:
    journal = record_story(tmp_path, FLOW, listened_to)
    assert types(journal).count("operator.listen") == 2
    assert types(journal).count("operator.listen_ended") == 2
    report = replay_journal(journal)
    assert report.same, in_words(report)
    assert report.verdict.compared > 20
