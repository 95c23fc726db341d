"""Two calls over real sockets; the provider of one goes mad. The other one's caller notices nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import pytest

from tests.kit.fake_leg import FakeLeg
from tests.kit.hostile_provider import storm
from tests.kit.provider_links import serve
from tests.kit.scripted_provider import Reply, ScriptedProvider
from tests.kit.service import until
from tests.kit.story import Observed
from voiceagent.call.call import Call
from voiceagent.call.config import CallConfig
from voiceagent.call.leg import G711
from voiceagent.call.vigil_config import VigilConfig
from voiceagent.ids import random_token
from voiceagent.ivr import Call as FlowCall
from voiceagent.ivr import flow
from voiceagent.ivr.flow import Flow
from voiceagent.realtime.config import RealtimeSessionConfig
from voiceagent.realtime.session import RealtimeSession
from voiceagent.realtime.websocket import OpenAIRealtimeWebSocketModel
from voiceagent.records.journal import Journal

pytestmark = pytest.mark.loopback
TURNS = 5
AUDIO_MS = 600
VOICE = 0x5A


@flow("talker")
async def talker(call: FlowCall) -> None:
    for turn in range(TURNS):
        await call.respond(f"Speak, turn {turn}.")


def call_over(url: str, leg: FakeLeg, entries: list[Mapping[str, Any]]) -> Call:
    async def open_session(used: Flow, audio_format: G711, journal: Journal) -> RealtimeSession:
        model = OpenAIRealtimeWebSocketModel(url=url, provider="embedded")
        config = RealtimeSessionConfig(
            input_audio_format=audio_format, output_audio_format=audio_format, playout=True
        )
        session = RealtimeSession(model=model, config=config)
        await session.open()
        return session

    journal = Journal(None, None, monotonic=asyncio.get_running_loop().time)
    journal.tap(entries.append)
    return Call(
        f"call_{random_token()}",
        leg,
        talker,
        open_session=open_session,
        config=CallConfig(vigil=VigilConfig(filler_s=0, patience_s=0)),
        journal=journal,
        observer=Observed(),
        tokens=random_token,
        transcription=None,
    )


async def test_a_mad_provider_harms_its_own_call_only(caplog: pytest.LogCaptureFixture) -> None:
    mad, sane = ScriptedProvider(), ScriptedProvider()
    sane.default = Reply(audio_ms=AUDIO_MS, sample=VOICE)
    mad_leg, sane_leg = FakeLeg(), FakeLeg()
    sane_entries: list[Mapping[str, Any]] = []
    with caplog.at_level(logging.ERROR):
        async with serve(mad) as mad_url, serve(sane) as sane_url, asyncio.TaskGroup() as group:
            stricken = call_over(mad_url, mad_leg, [])
            canary = call_over(sane_url, sane_leg, sane_entries)
            bad = group.create_task(stricken.run())
            good = group.create_task(canary.run())
            await until(lambda: mad_leg.played and sane_leg.played)
            for number, text in enumerate(storm(3, 4000)):
                mad.emit_text(text)
                if number % 40 == 0:
                    await asyncio.sleep(0.005)
            mad.emit("rate_limits.updated", filler="x" * 3_000_000)
            outcome = await asyncio.wait_for(good, 90)
            stricken.end("cleared")
            await asyncio.wait_for(bad, 45)
    assert outcome.reason == "completed"
    assert [entry.outcome.heard_ms for entry in canary.ledger if entry.outcome] == [AUDIO_MS] * TURNS
    assert bytes(sane_leg.played) == bytes((VOICE,)) * (8 * AUDIO_MS * TURNS), "whole, and only its own"
    assert sane.connections == 1
    assert not [entry for entry in sane_entries if entry["type"] == "provider.lost"]
    assert all(entry.outcome is not None for entry in stricken.ledger)
    assert not caplog.records, caplog.text
