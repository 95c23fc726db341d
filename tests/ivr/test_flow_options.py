"""What a flow may set for its calls, and where that arrives."""

from __future__ import annotations

from typing import Any

import pytest

from voiceagent.call.session_setup import SessionDefaults, session_config
from voiceagent.errors import ConfigError
from voiceagent.ivr import Call, flow
from voiceagent.ivr.idle import IdleWatch

DEFAULTS = SessionDefaults("alloy", 400, {"model": "transcriber", "language": "en"})


async def nothing(call: Call) -> None:
    """Say nothing."""


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"language": "klingon"}, "language"),
        ({"voice": ""}, "voice"),
        ({"voice": "a\nb"}, "voice"),
        ({"model": " gpt"}, "model"),
        ({"speed": 2.0}, "speed"),
        ({"silence_ms": 50}, "silence_ms"),
        ({"silence_ms": 300.5}, "silence_ms"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"idle": ["a"] * 6}, "idle"),
        ({"idle": ["a", " "]}, "idle"),
        ({"idle_s": 0}, "idle_s"),
        ({"idle_s": float("nan")}, "idle_s"),
    ],
)
def test_a_bad_value_is_told_with_flow_and_field(options: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        flow("desk", **options)
    assert caught.value.setting == f"flow desk: {field}"


def test_a_flow_sets_up_its_own_session() -> None:
    desk = flow(
        "desk",
        voice="ash",
        language="de-AT",
        speed=0.9,
        silence_ms=700,
        max_output_tokens=900,
    )(nothing)
    config = session_config(desk, "audio/pcmu", DEFAULTS)
    session = config.to_session_update()
    assert session["instructions"] == "Say nothing. Always speak German (de-AT) with the caller."
    assert session["audio"]["output"]["voice"] == "ash"
    assert session["audio"]["output"]["speed"] == 0.9
    assert session["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 700
    assert session["audio"]["input"]["transcription"] == {"model": "transcriber", "language": "de"}
    assert session["max_output_tokens"] == 900


def test_a_flow_that_sets_nothing_is_as_the_service_says() -> None:
    session = session_config(flow("desk")(nothing), "audio/pcmu", DEFAULTS).to_session_update()
    assert session["instructions"] == "Say nothing."
    assert session["audio"]["output"]["voice"] == "alloy"
    assert session["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 400
    assert session["audio"]["input"]["transcription"]["language"] == "en"
    assert "speed" not in session["audio"]["output"]
    assert "max_output_tokens" not in session
    assert session_config(flow("d")(nothing), "audio/pcmu", SessionDefaults()).transcription is None


def test_an_idle_caller_is_asked_stage_by_stage_and_given_up() -> None:
    idle = IdleWatch(("Are you there?", "Hello?"), 5.0)
    assert idle.wake_at() is None
    idle.silent(10.0)
    idle.silent(12.0)
    assert idle.wake_at() == 15.0
    assert idle.due(14.9) is None
    assert idle.due(15.0) == "Are you there?"
    assert idle.due(30.0) is None, "the line itself is being said: nothing is due"
    idle.agent_heard()
    idle.silent(17.0)
    assert idle.due(22.0) == "Hello?"
    idle.silent(24.0)
    assert idle.due(29.0) is None
    assert idle.over
    assert idle.wake_at() is None
    idle.caller_heard()
    assert not idle.over
    idle.silent(40.0)
    assert idle.due(45.0) == "Are you there?"
