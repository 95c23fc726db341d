"""A caller's frame passes through the call; what the call does about one of them is its own doing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from voiceagent.call.leg_ear import LegEar
from voiceagent.call.loop_timers import OWNER
from voiceagent.call.recorded_leg import RecordedEar

SOUND, SILENCE = b"\x20" * 160, b"\xff" * 160


class Rig:
    """The ear of a call, its inputs recorded; who hears a frame, and on whose behalf."""

    def __init__(self, *, dialled: bool = False) -> None:
        self.heard: list[tuple[str, bytes, bool]] = []
        self.inputs: Any = SimpleNamespace(caller_audio=self._gather)
        self.gathered: list[tuple[int, int]] = []
        placing = SimpleNamespace(greeting=SimpleNamespace(hear=self._judge))
        self.call: Any = SimpleNamespace(
            take_over=SimpleNamespace(on=False, tick=self._tick),
            holding=SimpleNamespace(in_queue=False, by_us=False),
            secrecy=SimpleNamespace(deaf=False, silence=self._silence),
            placing=placing if dialled else None,
            inputs=self.inputs,
        )
        ear = LegEar(self.call)
        bridge: Any = SimpleNamespace(caller_audio=self._session)
        port: Any = SimpleNamespace(listening=False)
        ear.attach(bridge, port)
        self.ear = RecordedEar(ear, 3, self.inputs)

    def _gather(self, leg: int, frames: int) -> None:
        self.gathered.append((leg, frames))

    def _silence(self, audio: bytes) -> bytes:
        return SILENCE

    def _judge(self, audio: bytes) -> None:
        self._note("greeting", audio)

    def _session(self, audio: bytes) -> None:
        self._note("session", audio)

    def _tick(self) -> None:
        self._note("tick", b"")

    def _note(self, who: str, audio: bytes) -> None:
        self.heard.append((who, audio, OWNER.get() is self.inputs))

    def hears(self, audio: bytes = SOUND) -> list[tuple[str, bytes, bool]]:
        self.heard.clear()
        self.ear.leg_audio(audio)
        assert OWNER.get() is None
        return list(self.heard)


def test_a_frame_goes_to_the_session_and_is_counted() -> None:
    rig = Rig()
    assert rig.hears() == [("session", SOUND, False)]
    assert rig.hears(SOUND * 2) == [("session", SOUND * 2, False)]
    assert rig.gathered == [(3, 1), (3, 2)]


def test_the_judge_of_a_greeting_and_a_human_in_the_agents_place_act_as_the_call() -> None:
    rig = Rig(dialled=True)
    assert rig.hears() == [("greeting", SOUND, True), ("session", SOUND, False)]
    rig.call.take_over.on = True
    assert rig.hears()[-1] == ("tick", b"", True)


@pytest.mark.parametrize(
    ("deaf", "taken_over", "in_queue", "heard"),
    [
        (True, False, False, SILENCE),
        (True, True, False, SOUND),
        (False, False, True, SILENCE),
        (True, True, True, SILENCE),
        (False, True, False, SOUND),
    ],
)
def test_who_must_not_be_heard_is_silent_to_all(
    deaf: bool, taken_over: bool, in_queue: bool, heard: bytes
) -> None:
    rig = Rig(dialled=True)
    rig.call.secrecy.deaf, rig.call.take_over.on, rig.call.holding.in_queue = deaf, taken_over, in_queue
    assert {audio for who, audio, _ in rig.hears() if who != "tick"} == {heard}


def test_whom_we_hold_the_session_does_not_hear() -> None:
    rig = Rig()
    rig.call.holding.by_us = True
    assert rig.hears() == []
