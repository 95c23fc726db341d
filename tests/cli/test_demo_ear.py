"""The demonstration's own ear: it hears the sentence also where a prompt runs into it, nothing else as it."""

from __future__ import annotations

import pytest

from voiceagent.cli.demo import OPERATOR_LINE
from voiceagent.cli.demo_ear import PROMPTS, heard_by_recogniser, plain_words
from voiceagent.engine.synth_callers import flite_present
from voiceagent.engine.tts.caller import synthesize
from voiceagent.media import g711

pytestmark = pytest.mark.skipif(not flite_present(), reason="the voice is flite's")
SENTENCE = plain_words(OPERATOR_LINE)


async def heard(*texts: str) -> str:
    pcm = b"".join([await synthesize(text, voice="slt", rate=8000) + bytes(1600) for text in texts])
    return await heard_by_recogniser(
        g711.encode(bytes(4000) + pcm + bytes(4000), "ulaw"), "PCMU", OPERATOR_LINE
    )


@pytest.mark.parametrize("before", ["", PROMPTS[2]])
async def test_the_sentence_is_heard(before: str) -> None:
    assert SENTENCE in await heard(*[text for text in (before, OPERATOR_LINE) if text])


@pytest.mark.parametrize("instead", [PROMPTS[2], "your invoice was paid by somebody else last week"])
async def test_nothing_else_is_heard_as_it(instead: str) -> None:
    assert SENTENCE not in await heard(instead)
