"""A random walk: whatever both sides do, nothing raises, nothing overlaps, every request ends once."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from typing import Any

import pytest

from tests.kit.scripted_provider import Reply, ScriptedProvider
from tests.kit.virtual_loop import virtual_run
from tests.realtime.kit import Ear, Room, open_room
from voiceagent.realtime import model_events as me
from voiceagent.realtime.config import RealtimeSessionConfig
from voiceagent.realtime.requests import BargePolicy, Origin, ResponseRequest, When
from voiceagent.realtime.session import RealtimeSession

STRAY = [
    {"type": "response.done", "response": {"id": "resp_ghost", "status": "completed"}},
    {"type": "response.created", "response": {"id": "resp_other", "metadata": None}},
    {"type": "response.done", "response": {"id": "resp_other", "status": "cancelled"}},
    {"type": "response.output_audio.delta", "response_id": "resp_ghost", "item_id": "g", "delta": "AAAA"},
    {"type": "response.output_audio.done", "response_id": "resp_ghost", "item_id": "g"},
    {"type": "response.output_text.delta", "response_id": "resp_ghost", "item_id": "g", "delta": "?"},
    {"type": "conversation.item.done", "item": {"id": "g", "type": "function_call_output", "call_id": "zz"}},
    {"type": "conversation.item.deleted", "item_id": "g"},
    {"type": "conversation.item.truncated", "item_id": "h", "audio_end_ms": 3},
    {"type": "error", "error": {"code": "invalid_value", "message": "?", "event_id": "nobody's"}},
    {"type": "error", "error": {"code": None, "message": "?", "param": "session.voice"}},
    {"type": "error", "error": {"code": "conversation_already_has_active_response", "message": "?"}},
    {"type": "session.updated", "session": {}},
    {"type": "input_audio_buffer.timeout_triggered"},
    {"type": "output_audio_buffer.started", "response_id": "resp_ghost"},
    {"type": "output_audio_buffer.stopped", "response_id": "resp_ghost"},
    {"type": "who.knows"},
    {"type": "response.done"},
]


class Walk:
    """One seeded walk over one session."""

    def __init__(self, room: Room, dice: random.Random) -> None:
        self.room = room
        self.dice = dice
        self.handles: list[Any] = []
        self.speaking: str | None = None
        self.count = 0

    def submit(self) -> None:
        self.count += 1
        dice = self.dice
        self.handles.append(
            self.room.session.submit(
                ResponseRequest(
                    id=f"w{self.count}",
                    origin=dice.choice(list(Origin)),
                    when=dice.choice(list(When)),
                    barge_policy=dice.choice(list(BargePolicy)),
                    out_of_band=dice.random() < 0.1,
                    coalesce=dice.choice([None, None, "k"]),
                    deadline_s=dice.choice([None, 2.0]),
                    correlate=dice.random() < 0.8,
                )
            )
        )

    def plan(self) -> None:
        dice = self.dice
        calls = [(f"c{self.count}_{n}", "look", "{}") for n in range(dice.choice([0, 0, 1, 2]))]
        self.room.provider.plans.append(
            Reply(
                audio_ms=dice.choice([0, 300, 2000, 6000]),
                gap_s=dice.choice([0.0, 0.05, 0.3]),
                calls=calls,
                status=dice.choice(["completed"] * 5 + ["failed", "incomplete"]),
                hang=dice.random() < 0.05,
            )
        )

    def fault(self) -> None:
        faults, dice = self.room.provider.faults, self.dice
        match dice.randrange(4):
            case 0:
                faults.swallow_creates += 1
            case 1:
                faults.refuse_creates.append(
                    ("conversation_already_has_active_response", dice.random() < 0.5)
                )
            case 2:
                faults.drop_events[dice.choice(["response.created", "response.done"])] = 1
            case _:
                faults.refuse_items += 1

    def caller(self) -> None:
        provider = self.room.provider
        if self.speaking is None:
            self.speaking = provider.speech_started()
        else:
            provider.speech_stopped(self.speaking)
            self.speaking = None

    def tools(self) -> None:
        calls = self.room.heard(me.RealtimeModelToolCallEvent)
        if calls:
            call = self.dice.choice(calls)
            handle = self.room.session.send_tool_output(call.call_id, "42", self.dice.random() < 0.8)
            if handle is not None:
                self.handles.append(handle)

    async def step(self) -> None:
        dice, session = self.dice, self.room.session
        match dice.randrange(12):
            case 0 | 1 | 2:
                self.submit()
            case 3:
                self.plan()
            case 4:
                self.fault()
            case 5 | 6:
                self.caller()
            case 7:
                self.tools()
            case 8:
                self.room.provider.emit_text(json.dumps(dice.choice(STRAY)))
            case 9:
                if self.handles:
                    session.withdraw(dice.choice(self.handles).id)
            case 10:
                await session.interrupt(flush=dice.random() < 0.5)
            case _:
                handle = await session.send_message("hello")
                self.handles.append(handle)
        await asyncio.sleep(dice.choice([0.0, 0.01, 0.05, 0.5, 3.0]))


async def walk(seed: int, steps: int) -> int:
    dice = random.Random(seed)
    turns = {
        "type": "server_vad",
        "create_response": dice.random() < 0.5,
        "interrupt_response": dice.random() < 0.8,
    }
    config = RealtimeSessionConfig(turn_detection=turns, playout=True)
    provider = ScriptedProvider(latency_s=dice.choice([0.0, 0.02, 0.2]))
    async with open_room(config=config, provider=provider, close=False) as room:
        Ear(room)
        path = Walk(room, dice)
        for _ in range(steps):
            await path.step()
        frames = len(room.transport.frames)
        await room.session.close()
        assert len(room.transport.frames) == frames
        assert all(handle.done for handle in path.handles)
        told = [event.request_id for event in room.heard(me.RealtimeModelResponseOutcomeEvent)]
        assert len(told) == len(set(told)), "an outcome was told twice"
        started = room.heard(me.RealtimeModelAudioEvent)
        return len(path.handles) + len(started)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        assert virtual_run(walk(seed, 120)) > 20
    assert not caplog.records, caplog.text


def test_a_session_that_was_never_opened_accepts_nothing() -> None:
    async def main() -> None:
        from voiceagent.errors import ProviderError
        from voiceagent.realtime.websocket import OpenAIRealtimeWebSocketModel

        session = RealtimeSession(model=OpenAIRealtimeWebSocketModel(provider="embedded"))
        with pytest.raises(ProviderError):
            await session.create_response()
        assert session.snapshot()["requests"] == {}
        await session.close()

    virtual_run(main())
