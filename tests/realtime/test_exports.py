"""The names that others import, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys

import voiceagent.realtime as realtime

SEED = {
    "RealtimeSession",
    "RealtimeModel",
    "RealtimeModelSendEvent",
    "RealtimeModelSendResponseCreate",
    "RealtimeModelSendRawMessage",
    "RealtimeModelSendUserInput",
    "RealtimeModelSendAudio",
    "RealtimeModelSendToolOutput",
    "RealtimeModelSendInterrupt",
    "RealtimeModelSendSessionUpdate",
    "OpenAIRealtimeWebSocketModel",
    "OpenAIRealtimeSIPModel",
    "ResponseHandle",
    "ResponseRequest",
    "Outcome",
}


def test_the_seed_names_are_there() -> None:
    assert set(realtime.__all__) >= SEED


def test_every_name_can_be_had_and_knows_its_home() -> None:
    for name in realtime.__all__:
        assert getattr(realtime, name) is not None
    assert set(realtime.__all__) <= set(dir(realtime))
    assert not hasattr(realtime, "RealtimeNonsense")


def test_the_send_union_has_every_send_event() -> None:
    members = {member.__name__ for member in realtime.RealtimeModelSendEvent.__args__}
    named = {name for name in realtime.__all__ if name.startswith("RealtimeModelSend")}
    assert members == named - {"RealtimeModelSendEvent"}


def test_the_event_union_has_every_event() -> None:
    members = {member.__name__ for member in realtime.RealtimeModelEvent.__args__}
    named = {name for name in realtime.__all__ if name.startswith("RealtimeModel") and name.endswith("Event")}
    assert members == named - {"RealtimeModelEvent", "RealtimeModelSendEvent"}


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = """
import sys, voiceagent.realtime as realtime
assert "asyncio" not in sys.modules
realtime.RealtimeSession, realtime.OpenAIRealtimeWebSocketModel
heavy = {"openai", "pydantic", "numpy", "websockets", "picows"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=200)
