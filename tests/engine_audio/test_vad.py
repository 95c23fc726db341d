"""Every detector hears speech, and neither silence nor line noise."""

from __future__ import annotations

import gc
from collections.abc import Callable

import numpy as np
import pytest

from voiceagent.engine import vad as vad_module
from voiceagent.engine.ports import Vad
from voiceagent.engine.vad import KINDS, SileroVad, vad_factory
from voiceagent.errors import ConfigError

LINE = 8000 * 2 * 400 // 1000
"""Bytes of bare line before and after the words of a recording."""


def probabilities(detector: Vad, pcm: bytes, block: int = 320) -> list[float]:
    return [detector.feed(pcm[at : at + block]) for at in range(0, len(pcm), block)]


def noise(seconds: float, level: float) -> bytes:
    return np.random.default_rng(3).normal(0, level, int(8000 * seconds)).astype("<i2").tobytes()


@pytest.mark.parametrize("kind", list(KINDS))
def test_speech_is_heard_soon_and_its_end_too(kind: str, say: Callable[[str], bytes]) -> None:
    recording = say("Speak to an operator please")
    detector = vad_factory(kind)[1]()
    found = probabilities(detector, recording)
    start = LINE // 320
    assert max(found[:start]) < 0.5
    assert max(found[start : start + 15]) > 0.6
    assert np.mean(np.array(found[start : start + 50]) > 0.5) > 0.6
    assert max(found[-4:]) < 0.5


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("pcm", [bytes(32000), noise(2.0, 30.0)], ids=["silence", "hiss"])
def test_silence_and_hiss_are_not_speech(kind: str, pcm: bytes) -> None:
    found = probabilities(vad_factory(kind)[1](), noise(0.5, 30.0) + pcm)
    assert max(found) < 0.5


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_size_of_the_blocks_does_not_matter(kind: str, say: Callable[[str], bytes]) -> None:
    recording = say("Billing")
    detector = vad_factory(kind)[1]()
    whole = detector.feed(recording)
    detector.reset()
    odd = probabilities(detector, recording, block=2 * 37)[-1]
    assert odd == pytest.approx(whole, abs=1e-6)


@pytest.mark.parametrize("kind", list(KINDS))
def test_reset_forgets_the_past(kind: str, say: Callable[[str], bytes]) -> None:
    recording = say("Billing")
    detector = vad_factory(kind)[1]()
    first = probabilities(detector, recording)
    detector.reset()
    assert probabilities(detector, recording) == pytest.approx(first, abs=1e-6)


def test_native_silero_objects_are_used_again() -> None:
    first = SileroVad()
    native = first._native  # type: ignore[attr-defined]
    del first
    gc.collect()
    streams = [SileroVad(), SileroVad()]
    assert any(stream._native is native for stream in streams)  # type: ignore[attr-defined]
    assert streams[0]._native is not streams[1]._native  # type: ignore[attr-defined]


def test_auto_falls_back_to_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert vad_factory("auto")[0] == "silero"
    monkeypatch.setattr(vad_module, "find_spec", lambda name: None if "silero" in name else object())
    assert vad_factory("auto")[0] == "webrtc"
    monkeypatch.setattr(vad_module, "find_spec", lambda name: object() if name == "array" else None)
    assert vad_factory("auto")[0] == "energy"
    with pytest.raises(ConfigError, match="pip install") as caught:
        vad_factory("silero")
    assert caught.value.setting == "engine.vad"


def test_an_unknown_detector_is_named() -> None:
    with pytest.raises(ConfigError, match="'telepathy'"):
        vad_factory("telepathy")
