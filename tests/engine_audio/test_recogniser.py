"""The recogniser hears real sound, in its own process, and survives that process's end."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from voiceagent.engine.ports import Expectation, ExpectKind
from voiceagent.engine.resample import resample
from voiceagent.engine.stt.recogniser import PocketsphinxRecogniser
from voiceagent.engine.synth_callers import flite_present

pytestmark = [
    pytest.mark.skipif(not flite_present(), reason="the caller's voice is flite's rms"),
    pytest.mark.asyncio(loop_scope="module"),
]

MENU = Expectation(
    ExpectKind.PHRASES, ("billing", "opening hours", "speak to an operator", "main menu", "make a payment")
)
YES_NO = Expectation(ExpectKind.YES_NO)
PERSON = Expectation(ExpectKind.PHRASES, ("opening hours", "advice", "person", "a person", "operator"))
ONE_DIGIT = Expectation(ExpectKind.DIGITS, min_digits=1, max_digits=1)
DIGITS = Expectation(ExpectKind.DIGITS)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ear() -> AsyncIterator[PocketsphinxRecogniser]:
    recogniser = PocketsphinxRecogniser()
    await recogniser.warm_up()
    yield recogniser
    await recogniser.close()


@pytest.fixture(scope="module")
def sounds(say: Callable[[str], bytes]) -> dict[str, bytes]:
    """Made outside the event loop."""
    said = ("Billing", "Opening hours please", "Yes", "No thanks", "Four eight one five", "A person", OPEN)
    return {text: say(text) for text in (*said, *FIGURES)}


FIGURES = {"One": "1", "Two": "2", "Three": "3", "Four": "4", "Five": "5"}
OPEN = "What's the weather like in London tomorrow"


@pytest.mark.parametrize(
    ("said", "expect", "text"),
    [
        ("Billing", MENU, "billing"),
        ("Opening hours please", MENU, "opening hours please"),
        ("Yes", YES_NO, "yes"),
        ("No thanks", YES_NO, "no thanks"),
        ("Four eight one five", DIGITS, "4815"),
        ("Billing", Expectation(), "billing"),
        ("A person", PERSON, "the person"),
        *((word, ONE_DIGIT, figure) for word, figure in FIGURES.items()),
    ],
)
async def test_expected_words_are_heard(
    ear: PocketsphinxRecogniser, sounds: dict[str, bytes], said: str, expect: Expectation, text: str
) -> None:
    heard = await ear.transcribe(sounds[said], 8000, expect)
    assert (heard.text, heard.confident) == (text, True)
    assert heard.decode_ms > 0


@pytest.mark.parametrize("expect", [MENU, YES_NO, DIGITS, ONE_DIGIT], ids=lambda expect: expect.kind.value)
async def test_other_talk_is_not_taken_for_an_answer(
    ear: PocketsphinxRecogniser, sounds: dict[str, bytes], expect: Expectation
) -> None:
    heard = await ear.transcribe(sounds[OPEN], 8000, expect)
    assert heard.text == ""
    assert not heard.confident


async def test_free_dictation_is_never_sure(ear: PocketsphinxRecogniser, sounds: dict[str, bytes]) -> None:
    heard = await ear.transcribe(sounds[OPEN], 8000, Expectation())
    assert not heard.confident


@pytest.mark.parametrize("rate", [16000, 24000])
async def test_wider_audio_is_brought_down(
    ear: PocketsphinxRecogniser, sounds: dict[str, bytes], rate: int
) -> None:
    heard = await ear.transcribe(resample(sounds["Billing"], 8000, rate), rate, MENU)
    assert heard.text == "billing"


async def test_line_noise_and_nothing_are_no_words(ear: PocketsphinxRecogniser) -> None:
    noise = np.random.default_rng(4).normal(0, 30, 8000).astype("<i2").tobytes()
    for pcm in (noise, bytes(16000), b"", b"\x00"):
        assert (await ear.transcribe(pcm, 8000, MENU)).text == ""


async def test_a_word_without_a_dictionary_entry_is_sounded_out(ear: PocketsphinxRecogniser) -> None:
    await ear.prepare(Expectation(ExpectKind.PHRASES, ("call zyntrova", "billing")))
    assert ear.guessed == {"zyntrova": "Z IH N T R AA V AH"}


async def test_a_killed_worker_is_replaced_and_the_turn_is_heard(
    ear: PocketsphinxRecogniser, sounds: dict[str, bytes]
) -> None:
    (first,) = ear.pids
    os.kill(first, signal.SIGKILL)
    assert (await ear.transcribe(sounds["Billing"], 8000, MENU)).text == "billing"
    (second,) = ear.pids
    assert second != first


async def test_turns_at_the_same_time_keep_their_own_answers(
    ear: PocketsphinxRecogniser, sounds: dict[str, bytes]
) -> None:
    asked = [("Billing", MENU), ("Yes", YES_NO), ("Opening hours please", MENU), ("No thanks", YES_NO)]
    heard = await asyncio.gather(*(ear.transcribe(sounds[said], 8000, expect) for said, expect in asked))
    assert [one.text for one in heard] == ["billing", "yes", "opening hours please", "no thanks"]


async def test_the_derived_model_is_made_once(ear: PocketsphinxRecogniser, cache: Path) -> None:
    await ear.prepare(YES_NO)
    folders = [name for name in os.listdir(cache) if not name.startswith(".")]
    assert len(folders) == 1
    assert set(os.listdir(cache / folders[0])) == {"means", "variances", "feat.params"}
