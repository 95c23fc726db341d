"""How well the embedded provider hears: sixty fixed utterances, up to eight synthetic callers, a phone line.

Each caller says ten answers to yes/no questions, twenty menu wishes, eighteen digit strings and twelve open
sentences, which no grammar fits and which must not be taken for an answer. Right means the right *answer*:
"yeah" for yes, "billing please" for billing, every digit of a string.

The callers are synthesisers, so the figures compare set-ups; they are no promise about people.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from voiceagent.engine.ports import Expectation, ExpectKind, Hypothesis, Recogniser
from voiceagent.engine.stt.grammar import DIGIT_WORDS, meaning, words_of
from voiceagent.engine.synth_callers import RATE, caller_voices, telephone
from voiceagent.engine.tts.caller import caller_voice

YES_NO: tuple[tuple[str, str], ...] = (
    ("yes", "yes"), ("no", "no"), ("yeah", "yes"), ("nope", "no"), ("yes please", "yes"),
    ("no thanks", "no"), ("no thank you", "no"), ("that's right", "yes"), ("correct", "yes"), ("sure", "yes"),
)  # fmt: skip

MENU_PHRASES = (
    "billing", "operator", "speak to an operator", "agent", "representative", "opening hours", "repeat that",
    "main menu", "cancel", "check my order status", "order status", "make a payment", "goodbye", "support",
    "technical support", "account balance", "sales", "hello", "help", "change my appointment",
)  # fmt: skip
MENU: tuple[tuple[str, str], ...] = (
    ("billing", "billing"), ("billing please", "billing"), ("speak to an operator", "speak to an operator"),
    ("operator", "operator"), ("agent", "agent"), ("opening hours", "opening hours"),
    ("representative", "representative"), ("repeat that", "repeat that"), ("main menu", "main menu"),
    ("cancel", "cancel"), ("check my order status", "check my order status"),
    ("make a payment", "make a payment"), ("goodbye", "goodbye"), ("support", "support"),
    ("technical support please", "technical support"), ("i'd like my account balance", "account balance"),
    ("sales please", "sales"), ("i want to make a payment", "make a payment"), ("hello", "hello"),
    ("i'd like to change my appointment", "change my appointment"),
)  # fmt: skip

DIGITS = (
    "four", "six", "one", "one two", "seven three", "two zero five", "nine one one", "four eight one five",
    "three three seven two", "oh two one six", "one two three four", "five five oh nine two",
    "eight six four zero",
    "seven two nine one five six", "two four six eight one oh", "nine zero three one seven four",
    "six one seven five five five two", "four one five two three eight nine six",
)  # fmt: skip

OPEN = (
    "what's the weather like in london tomorrow",
    "my cat has been sleeping on the sofa all day",
    "do you sell green bicycles for small kids",
    "i saw your advertisement in the newspaper yesterday",
    "the package arrived but the box was damaged",
    "could you explain how the new contract works",
    "my brother is getting married next summer",
    "we are looking for a quiet place near the lake",
    "somebody parked a truck in front of my garage",
    "the internet has been very slow since this morning",
    "i think the second movie was better than the first",
    "please turn off the lights when you leave the office",
)

QUESTIONS = {
    "yes_no": Expectation(ExpectKind.YES_NO),
    "menu": Expectation(ExpectKind.PHRASES, MENU_PHRASES),
    "digits": Expectation(ExpectKind.DIGITS, min_digits=1, max_digits=16),
}


@dataclass(frozen=True, slots=True)
class Utterance:
    """What is said, to which question, and the right answer ("" for an open sentence)."""

    said: str
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Heard:
    """One decoded utterance."""

    voice: str
    utterance: Utterance
    hypothesis: Hypothesis
    audio_s: float

    @property
    def right(self) -> bool:
        """Whether the answer, sure or to be confirmed, is the right one."""
        guess = self.hypothesis.text or self.hypothesis.alternative
        return _answer(guess, self.utterance.question) == self.utterance.answer


def utterances(*, quick: bool = False) -> list[Utterance]:
    """Return the fixed list; ``quick`` takes every third and asks open sentences one question only."""
    known = [Utterance(said, "yes_no", answer) for said, answer in YES_NO]
    known += [Utterance(said, "menu", answer) for said, answer in MENU]
    known += [
        Utterance(said, "digits", "".join(DIGIT_WORDS[word] for word in said.split())) for said in DIGITS
    ]
    if quick:
        return known[::3] + [Utterance(said, "menu", "") for said in OPEN[::3]]
    return known + [Utterance(said, question, "") for said in OPEN for question in QUESTIONS]


async def measure(
    recogniser: Recogniser, voices: list[str], *, quick: bool = False, snr_db: float = 25.0
) -> list[Heard]:
    """Let every voice say everything and return what was heard."""
    from voiceagent.engine.resample import resample

    found: list[Heard] = []
    for voice in voices:
        speaker = caller_voice(voice)
        lines: dict[str, bytes] = {}
        jobs: list[tuple[Utterance, bytes]] = []
        try:
            for number, utterance in enumerate(utterances(quick=quick)):
                if utterance.said not in lines:
                    spoken = b"".join([chunk async for chunk in speaker.speak(utterance.said)])
                    pcm = resample(spoken, speaker.rate, RATE)
                    lines[utterance.said] = telephone(pcm, seed=number, snr_db=snr_db)
                jobs.append((utterance, lines[utterance.said]))
        finally:
            await speaker.close()
        answers = await asyncio.gather(
            *(recogniser.transcribe(pcm, RATE, QUESTIONS[utterance.question]) for utterance, pcm in jobs)
        )
        found += [
            Heard(voice, utterance, answer, len(pcm) / 2 / RATE)
            for (utterance, pcm), answer in zip(jobs, answers, strict=True)
        ]
    return found


def summary(heard: list[Heard]) -> dict[str, Any]:
    """Return the figures of a run; percentages over all voices, times per turn (both passes)."""
    sums: defaultdict[str, list[bool]] = defaultdict(list)
    for one in heard:
        question = one.utterance.question
        sure = bool(one.hypothesis.text) and one.hypothesis.confident
        if not one.utterance.answer:
            sums[f"false {question}"].append(sure)
            sums[f"asked {question}"].append(not sure and bool(one.hypothesis.alternative))
            continue
        sums[question].append(one.right)
        sums[f"voice {one.voice}"].append(one.right)
        sums[f"sure {question}"].append(sure)
        if sure:
            sums[f"sure right {question}"].append(one.right)
    times = sorted(one.hypothesis.decode_ms for one in heard)
    audio = sum(one.audio_s for one in heard)

    def share(kind: str) -> dict[str, float]:
        head = f"{kind} "
        return {key.removeprefix(head): _percent(sums[key]) for key in sums if key.startswith(head)}

    return {
        "voices": [*dict.fromkeys(one.voice for one in heard)],
        "utterances": len(heard),
        "yes_no_percent": _percent(sums["yes_no"]),
        "menu_percent": _percent(sums["menu"]),
        "digits_percent": _percent(sums["digits"]),
        "sure_percent": {q: _percent(sums[f"sure {q}"]) for q in QUESTIONS},
        "sure_and_right_percent": {q: _percent(sums[f"sure right {q}"]) for q in QUESTIONS},
        "false_accept_percent": share("false"),
        "false_question_percent": share("asked"),
        "by_voice_percent": share("voice"),
        "decode_ms": {"p50": _quantile(times, 0.5), "p95": _quantile(times, 0.95)},
        "real_time_factor": round(sum(times) / 1000 / audio, 3) if audio else 0.0,
    }


def run_recogniser_bench(voices: list[str] | None = None, quick: bool = False) -> dict[str, Any]:
    """Measure the built-in recogniser and return the figures (see :func:`summary`).

    ``voices`` are names for ``caller_voice``; by default all that can speak here, up to eight. ``quick``
    hears a third of the list by three voices.
    """
    from voiceagent.engine.stt.recogniser import PocketsphinxRecogniser

    chosen = voices or caller_voices()
    if quick and voices is None:
        chosen = chosen[:3]

    async def run() -> list[Heard]:
        recogniser = PocketsphinxRecogniser(workers=2, queue=1000)
        try:
            await recogniser.warm_up()
            return await measure(recogniser, chosen, quick=quick)
        finally:
            await recogniser.close()

    began = perf_counter()
    figures = summary(asyncio.run(run()))
    figures["seconds"] = round(perf_counter() - began, 1)
    return figures


def _answer(text: str, question: str) -> str:
    return text if question == "digits" else meaning(words_of(text), QUESTIONS[question])


def _percent(values: list[bool]) -> float:
    return round(100 * sum(values) / len(values), 1) if values else 0.0


def _quantile(ordered: list[float], share: float) -> float:
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1) if ordered else 0.0
