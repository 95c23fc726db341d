"""Calls in virtual time whose journals hold their inputs: what a service writes, without a network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from tests.kit.fake_leg import FakeLeg
from tests.kit.scripted_provider import ScriptedProvider
from tests.kit.story import TRANSCRIPTION, Observed, Story
from voiceagent.call.call import Call
from voiceagent.call.config import CallConfig
from voiceagent.call.inputs import Inputs
from voiceagent.call.session_opening import opened, watched
from voiceagent.call.session_setup import SessionDefaults, session_config
from voiceagent.ivr.flow import Flow
from voiceagent.ivr.loading import load_flows
from voiceagent.realtime.session import RealtimeSession
from voiceagent.realtime.websocket import OpenAIRealtimeWebSocketModel
from voiceagent.records.journal import Journal, plain
from voiceagent.simulate.virtual_loop import virtual_run

DEFAULTS = SessionDefaults(transcription=TRANSCRIPTION)


class RecordedStory(Story):
    """A :class:`~tests.kit.story.Story` as a service makes it: ids from a seed, inputs in the journal."""

    def __init__(self, flow: Flow) -> None:
        self.provider = ScriptedProvider()
        self.second = None
        self.leg = FakeLeg()
        self.observed = Observed()
        self.entries: list[Mapping[str, Any]] = []
        self.refuse = None
        journal = Journal(None, None, monotonic=asyncio.get_running_loop().time)
        journal.tap(self.entries.append)
        inputs = Inputs(journal, "0123456789abcdef")
        self.call = Call(
            "call_1",
            self.leg,
            flow,
            open_session=self._open_recorded,
            config=CallConfig(no_input_s=3.0),
            journal=journal,
            observer=self.observed,
            tokens=inputs.tokens("call"),
            transcription=TRANSCRIPTION,
        )
        self._run = None
        self._turns = 0

    async def _open_recorded(self, flow: Flow, audio_format: Any, journal: Journal) -> RealtimeSession:
        if self.refuse is not None:
            raise self.refuse

        async def transport(*_: Any, **__: Any) -> Any:
            return self.provider.transport()

        watching = watched(journal, DEFAULTS, place="first", provider="openai", model="gpt-realtime")
        model = OpenAIRealtimeWebSocketModel(
            url="ws://scripted", api_key="k", transport=transport, model="gpt-realtime", **watching
        )
        return await opened(model, session_config(flow, audio_format, DEFAULTS), journal)


def record_story(
    folder: Path, source: str, act: Callable[[RecordedStory], Awaitable[None]], name: str = "call"
) -> Path:
    """Write ``source`` as a flow file, live the call of its first flow, and return the journal."""
    file = folder / f"{name}.py"
    file.write_text(source, encoding="utf-8")

    async def live() -> list[Mapping[str, Any]]:
        story = RecordedStory(next(iter(load_flows([file]))))
        story.start()
        await act(story)
        await story.ends()
        return story.entries

    entries = virtual_run(live())
    journal = folder / f"{name}.jsonl"
    lines = [json.dumps(entry, default=plain, ensure_ascii=False) for entry in entries]
    journal.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return journal
