"""Two frameworks under one load: what counts as work, the ratio, real runs of the peers there are."""

from __future__ import annotations

import base64
import importlib.util
import json
import math
import struct
import sys
from typing import Any

import pytest

from voiceagent.bench import against_calls
from voiceagent.bench.against_calls import measure_peer, require_peer, run_against_calls, undone
from voiceagent.bench.against_table import compared, table
from voiceagent.bench.load_phones import Phone, PhoneFigures, loud
from voiceagent.bench.load_provider import TONE, ProviderFigures, ScriptedSession
from voiceagent.errors import ConfigError
from voiceagent.loops import run_loop
from voiceagent.media.g711 import encode
from voiceagent.media.wheel import MediaWheel

HEADER = bytes(12)


def packet(amplitude: int) -> bytes:
    wave = [int(amplitude * math.sin(2 * math.pi * 440 * n / 8000)) for n in range(160)]
    return HEADER + encode(struct.pack("<160h", *wave))


def test_a_tone_is_loud_and_noise_is_not() -> None:
    assert loud(packet(8000))
    assert not loud(packet(100))
    assert not loud(HEADER + b"\xff" * 160)
    assert not loud(HEADER)


class Wire:
    """One scripted session, and what it says."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []
        self.figures = ProviderFigures()
        self.phone = Phone(0, MediaWheel(timer="none"), PhoneFigures())
        self.session = ScriptedSession(
            self.phone, self.figures, lambda data: self.said.append(json.loads(data)), 0.0
        )
        self.session.measuring = True

    def types(self) -> list[str]:
        return [event["type"] for event in self.said]

    def configure(self, kind: str, **turns: Any) -> None:
        audio = {"input": {"turn_detection": turns}, "output": {"format": {"type": kind}}}
        self.session.receive(json.dumps({"type": "session.update", "session": {"audio": audio}}).encode())


async def test_who_has_pcm_is_sent_a_tone_and_his_audio_is_counted_in_seconds() -> None:
    wire = Wire()
    wire.configure("audio/pcm", type="server_vad")
    assert wire.phone.plain
    wire.session.receive(b'{"type": "response.create"}')
    delta = next(event for event in wire.said if event["type"] == "response.output_audio.delta")
    assert len(base64.b64decode(delta["delta"])) == 0.2 * 48_000
    assert delta["delta"] == TONE.decode()
    audio = base64.b64encode(bytes(960)).decode()
    # Clients differ in the order of the keys, and in the spaces between.
    for text in (
        f'{{"type": "input_audio_buffer.append", "audio": "{audio}"}}',
        f'{{"audio":"{audio}","type":"input_audio_buffer.append"}}',
    ):
        wire.session.receive(text.encode())
    assert wire.figures.appends == 2
    assert wire.figures.appended_s == pytest.approx(0.04, rel=0.1)
    wire.session.close()
    wire.phone.close()


@pytest.mark.parametrize(("asks_itself", "answers"), [(False, 1), (True, 0)])
async def test_the_provider_answers_turns_unless_it_is_told_not_to(asks_itself: bool, answers: int) -> None:
    wire = Wire()
    wire.configure("audio/pcmu", type="server_vad", create_response=not asks_itself)
    wire.session._caller_stops("item", wants_answer=True)
    assert wire.types().count("response.created") == answers
    wire.session.close()
    wire.phone.close()


def seen(**changes: Any) -> dict[str, Any]:
    usual = {
        "sessions": 25,
        "seconds": 12.0,
        "appended_s": 300.0,
        "answers": 49,
        "packets_loud": 0,
        "packets_received": 7000,
    }
    return {**usual, **changes}


def test_who_carries_all_calls_has_left_nothing_undone() -> None:
    assert undone(25, seen()) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sessions": 24}, "24 of 25 sessions"),
        ({"appended_s": 100.0}, "100 of 300 s of the callers' audio"),
        ({"answers": 10}, "10 answers were given, 50 were due"),
        ({"packets_received": 500}, "heard 500 packets of the agent, 7500 were due"),
        ({"packets_loud": 500}, "heard 500 packets of the agent, 7500 were due"),
    ],
)
def test_calls_that_do_nothing_are_no_figures(changes: dict[str, Any], reason: str) -> None:
    (told,) = undone(25, seen(**changes))
    assert reason in told


def run(cpu: float, *, valid: bool = True, version: str = "1.0") -> dict[str, Any]:
    return {
        "cpu_ms_per_call_second": cpu,
        "core_percent": cpu,
        "pacing_ms": {"p99": 2.0},
        "downlink_ms": {"p50": 1.0},
        "barge_in_stop_ms": {"p99": 3.0},
        "memory_kb_per_call": 80.0,
        "base_memory_mb": 40.0,
        "version": version,
        "python": "3.11",
        "loop": "uvloop",
        "valid": valid,
        "invalid_because": [] if valid else ["others on this machine used 90 % of a core"],
    }


def test_the_ratio_is_of_the_medians_of_the_valid_runs() -> None:
    runs = {
        "voiceagent": [run(2.0), run(4.0), run(9.0, valid=False)],
        "pipecat": [run(30.0), run(40.0), run(35.0)],
    }
    figures = compared("pipecat", runs, calls=25, seconds=10.0, whole=False)
    assert figures["share_of_the_peers_cpu"]["median"] == pytest.approx(3.0 / 35.0, abs=1e-4)
    assert figures["goals"]["share_of_the_peers_cpu"]["kept"]
    assert figures["valid"]
    assert figures["voiceagent 1.0"]["valid_runs"] == 2
    text = table(figures)
    assert "our share of its CPU: 0.086" in text
    assert "2 of 3" in text


def test_sides_without_a_valid_run_say_so() -> None:
    runs = {"voiceagent": [run(2.0)], "pipecat": [run(40.0, valid=False)]}
    figures = compared("pipecat", runs, calls=25, seconds=10.0, whole=False)
    assert not figures["valid"]
    assert figures["invalid_because"] == ["pipecat: others on this machine used 90 % of a core"]
    assert "not valid: pipecat" in table(figures)


def test_an_unknown_peer_a_missing_one_and_a_python_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ConfigError, match="knows pipecat, openai-agents, plain, not nobody"):
        run_against_calls("nobody")
    with pytest.raises(ConfigError, match="cannot run /nowhere/python"):
        require_peer("pipecat", "/nowhere/python")
    monkeypatch.setitem(against_calls.PEERS, "pipecat", "no_such_package")
    with pytest.raises(ConfigError, match=r"pip install 'voiceagent\[bench\]'"):
        require_peer("pipecat", None)


@pytest.mark.loopback
def test_a_plain_bridge_carries_the_calls_in_a_process_of_its_own() -> None:
    figures = run_loop(lambda: measure_peer("plain", sys.executable, 2, 1.0, 0.7))
    assert figures["load"]["sessions"] == 2
    assert figures["load"]["appends"] > 50
    assert figures["load"]["packets_received"] > 10
    assert figures["cpu_ms_per_call_second"] > 0
    assert figures["version"].startswith("with websockets")


@pytest.mark.loopback
@pytest.mark.parametrize("peer", ["pipecat", "openai-agents"])
def test_the_peer_carries_a_call(peer: str) -> None:
    if importlib.util.find_spec(against_calls.PEERS[peer]) is None:
        pytest.skip(f"{peer} needs the bench extra: pip install 'voiceagent[bench]'")
    figures = run_loop(lambda: measure_peer(peer, sys.executable, 1, 2.0, 1.0))
    assert figures["load"]["sessions"] == 1
    assert figures["load"]["appended_s"] > 1.0
    assert figures["load"]["packets_received"] > 20
