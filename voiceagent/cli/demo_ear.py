"""An ear of its own for the demonstration: what did the caller's line really carry?

The service says what it believes the caller heard; this listens to the recording at the phone's end, with the
embedded recogniser and a closed list of what may have been said.
"""

from __future__ import annotations

import re
from typing import Any

PROMPTS = (
    "hello this is the front desk thank you for calling",
    "please type your six digit account number then hash",
    "is there anything else i can do for you",
    "thank you for calling goodbye",
)
"""Other sentences of the demonstration, so that the right one has rivals."""


async def heard_by_recogniser(audio: bytes, law: str, sentence: str) -> str:
    """Return what the G.711 ``audio`` says, in plain words: ``sentence``, another prompt, or nothing.

    On a busy machine a prompt comes late and stands right before or after the sentence: then both.
    """
    from voiceagent.engine.parts import build_parts
    from voiceagent.engine.ports import Expectation, ExpectKind
    from voiceagent.media import g711

    parts: Any = build_parts()
    try:
        await parts.recogniser.warm_up()
        pcm = g711.decode(audio, "alaw" if law == "PCMA" else "ulaw")
        expect = Expectation(ExpectKind.PHRASES, phrases=may_be_heard(plain_words(sentence)))
        found = await parts.recogniser.transcribe(pcm, 8000, expect)
    finally:
        await parts.close()
    return found.text or found.alternative


def may_be_heard(sentence: str) -> tuple[str, ...]:
    """Return all that the ear chooses between."""
    beside = [pair for prompt in PROMPTS for pair in (f"{prompt} {sentence}", f"{sentence} {prompt}")]
    return (sentence, *PROMPTS, *beside)


def plain_words(sentence: str) -> str:
    """Return ``sentence`` as the recogniser writes it: lower case, no punctuation."""
    return " ".join(re.findall(r"[a-z']+", sentence.lower()))
