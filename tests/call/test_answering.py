"""Person or machine: greetings by the embedded voices, beeps, and what is neither."""

from __future__ import annotations

import asyncio
import math
import random
import struct
from collections.abc import Callable, Iterator

import pytest

from tests.kit.fake_leg import FakeLeg
from tests.kit.story import Story
from tests.kit.virtual_loop import eventually, virtual
from voiceagent.call.answering import FRAME, AnsweringEar
from voiceagent.call.greeting import Greeting
from voiceagent.engine.tts.caller import synthesize
from voiceagent.ivr import Answering, Call, flow
from voiceagent.media import g711

VOICES = ("rms", "slt")
PERSONS = ("Hello?", "Yes, this is Maria speaking.")
MACHINES = (
    "You have reached the voice mail of Maria Jones. I cannot take your call right now. "
    "Please leave your name and your number after the tone.",
    "The person you are calling is not available at the moment. Please leave a message after the beep.",
)


@pytest.fixture(scope="module")
def say() -> Iterator[Callable[[str, str], bytes]]:
    """Speech as µ-law, made once."""
    made: dict[tuple[str, str], bytes] = {}
    loop = asyncio.new_event_loop()

    def make(text: str, voice: str) -> bytes:
        if (text, voice) not in made:
            pcm = loop.run_until_complete(synthesize(text, voice=voice, rate=8000))
            made[text, voice] = g711.encode(pcm)
        return made[text, voice]

    yield make
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def silence(ms: int) -> bytes:
    """A line with a little noise on it."""
    dice = random.Random(ms)
    return bytes(dice.choice((0xFF, 0xFE, 0x7E, 0x7F)) for _ in range(ms * 8))


def tone(*hertz: float, ms: int, volume: float = 0.25) -> bytes:
    """One or more sines together, as µ-law."""
    share = volume * 32000 / len(hertz)
    samples = [
        round(sum(share * math.sin(2 * math.pi * one * at / 8000) for one in hertz)) for at in range(ms * 8)
    ]
    return g711.encode(struct.pack(f"<{len(samples)}h", *samples))


def heard(*parts: bytes, law: g711.Law = "ulaw") -> Answering:
    """What an ear makes of these parts, one after the other."""
    ear = AnsweringEar(law)
    audio = b"".join(parts)
    ear.feed(audio[: len(audio) // FRAME * FRAME])
    return ear.hint


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("text", PERSONS)
def test_a_person_says_little_and_waits(text: str, voice: str, say: Callable[[str, str], bytes]) -> None:
    hint = heard(silence(600), say(text, voice), silence(1500))
    assert (hint.kind, hint.decided, hint.beep_at_ms) == ("person", True, None)
    assert 150 <= hint.greeting_ms <= 2200


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("text", MACHINES)
def test_a_machine_talks_on_and_beeps(text: str, voice: str, say: Callable[[str, str], bytes]) -> None:
    greeting = silence(300) + say(text, voice) + silence(400)
    before = heard(greeting)
    assert (before.kind, before.beep_at_ms) == ("machine", None)
    hint = heard(greeting, tone(1000, ms=400), silence(500))
    assert hint.beep_at_ms is not None
    assert abs(hint.beep_at_ms - (len(greeting) / 8 + 400)) <= 40


def test_a_machine_of_few_words_gives_itself_away_by_its_beep(say: Callable[[str, str], bytes]) -> None:
    greeting = silence(300) + say(PERSONS[0], "rms") + silence(1200)
    assert heard(greeting).kind == "person"
    assert heard(greeting, tone(1400, ms=300), silence(100)).kind == "machine"


@pytest.mark.parametrize("hertz", [400, 500, 850, 1000, 1400, 2000, 2450])
@pytest.mark.parametrize("ms", [140, 200])
def test_beeps(hertz: float, ms: int) -> None:
    assert heard(silence(500), tone(hertz, ms=ms), silence(100)).beep_at_ms is not None


@pytest.mark.parametrize("hertz", [500, 1000, 2000])
def test_a_longer_beep_and_a_soft_one(hertz: float) -> None:
    assert heard(silence(500), tone(hertz, ms=1200), silence(100)).beep_at_ms is not None
    assert heard(silence(500), tone(hertz, ms=400, volume=0.06), silence(100)).beep_at_ms is not None


@pytest.mark.parametrize(
    "sound",
    [
        tone(1000, ms=80),
        tone(1000, ms=2600),
        tone(300, ms=400),
        tone(2800, ms=400),
        tone(440, 480, ms=2000),
        tone(350, 440, ms=1000),
        tone(425, ms=1000),
        tone(425, ms=240),
        tone(1000, ms=400, volume=0.01),
        tone(697, 1209, ms=200),
        tone(941, 1633, ms=300),
    ],
    ids=[
        "click",
        "fax",
        "low",
        "high",
        "ringback_us",
        "dial",
        "ringback_eu",
        "busy",
        "faint",
        "key_1",
        "key_D",
    ],
)
def test_what_is_no_beep(sound: bytes) -> None:
    assert heard(silence(500), sound, silence(200)).beep_at_ms is None


def test_speech_holds_no_beep(say: Callable[[str, str], bytes]) -> None:
    for text in (*PERSONS, *MACHINES):
        for voice in VOICES:
            assert heard(say(text, voice), silence(300)).beep_at_ms is None


def test_nothing_heard_is_unknown() -> None:
    assert heard(silence(4000)) == Answering("unknown", 0, None, decided=False)
    assert heard(silence(6000)) == Answering("unknown", 0, None, decided=True)
    assert heard(silence(500), tone(200, 710, ms=20), silence(1500)).kind == "unknown"  # a click is no word


def test_a_greeting_between_the_two_is_unknown(say: Callable[[str, str], bytes]) -> None:
    babble = say(MACHINES[0], "rms")[: 2700 * 8]
    hint = heard(babble, silence(1500))
    assert (hint.kind, hint.decided) == ("unknown", True)


def test_the_other_law_is_understood(say: Callable[[str, str], bytes]) -> None:
    audio = g711.ulaw_to_alaw(silence(300) + say(PERSONS[0], "rms") + silence(1200))
    assert heard(audio, law="alaw").kind == "person"


# ── the flow's side ─────────────────────────────────────────────────────────────────────────────
def test_nobody_who_does_not_ask_pays_for_it() -> None:
    greeting = Greeting("audio/pcmu")
    for _ in range(3000):
        greeting.hear(silence(20))
    assert greeting._ear is None  # pyright: ignore[reportPrivateUsage]
    assert len(greeting._kept) <= 8000 * 30  # pyright: ignore[reportPrivateUsage]


@virtual
async def test_a_flow_waits_for_the_machines_beep_and_what_came_before_the_question_counts() -> None:
    hints: list[Answering] = []

    @flow("reminder")
    async def reminder(call: Call) -> None:
        await asyncio.sleep(1)
        hints.append(await call.answered_by(10))
        hints.append(await call.until_beep(30))
        await call.respond("Leave the message.")

    leg = FakeLeg(direction="outbound")
    story = Story(reminder, leg=leg)
    story.start()
    await eventually(lambda: story.call.session is not None)
    leg.callee(200)
    speech = tone(220, 710, 1130, ms=20)
    for _ in range(200):
        leg.listener.leg_audio(speech)
        await asyncio.sleep(0.02)
    assert [hint.kind for hint in hints] == ["machine"]
    assert story.provider.creates() == []
    for part in (tone(1000, ms=300), silence(60)):
        for start in range(0, len(part), FRAME):
            leg.listener.leg_audio(part[start : start + FRAME])
            await asyncio.sleep(0.02)
    await story.creates(1)
    assert hints[1].beep_at_ms == pytest.approx(4300, abs=60)
    await story.ends()


@virtual
async def test_no_sign_in_time_is_told_as_it_stands() -> None:
    hints: list[Answering] = []

    @flow("reminder")
    async def reminder(call: Call) -> None:
        hints.append(await call.answered_by(2))
        hints.append(await call.until_beep(1))

    leg = FakeLeg(direction="outbound")
    story = Story(reminder, leg=leg)
    story.start()
    await eventually(lambda: story.call.session is not None)
    leg.callee(200)
    await story.ends()
    assert [(hint.kind, hint.decided) for hint in hints] == [("unknown", False), ("unknown", False)]


@virtual
async def test_an_inbound_call_knows_nothing_and_does_not_wait() -> None:
    hints: list[Answering] = []

    @flow("desk")
    async def desk(call: Call) -> None:
        hints.append(await call.answered_by(60))

    story = Story(desk)
    story.start()
    await story.ends(5)
    assert hints == [Answering()]
