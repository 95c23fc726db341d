"""What has ended is freed by counting references: the collector has nothing to find."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

import pytest

from tests.kit.collector import no_collector
from tests.kit.provider_links import MemoryTransport
from tests.kit.scripted_provider import ScriptedProvider
from tests.kit.virtual_loop import virtual
from tests.realtime.kit import open_room
from voiceagent.realtime.config import RealtimeSessionConfig
from voiceagent.realtime.link import Listeners
from voiceagent.realtime.model_events import RealtimeModelDtmfEvent, RealtimeModelEvent
from voiceagent.realtime.session import RealtimeSession
from voiceagent.realtime.surviving import SurvivingModel
from voiceagent.realtime.websocket import OpenAIRealtimeWebSocketModel

__all__ = ["no_collector"]
pytestmark = pytest.mark.usefixtures("no_collector")


def lost(reason: str) -> None:
    raise AssertionError(reason)


@virtual
async def test_a_session_and_the_model_that_survives_links() -> None:
    async with open_room() as room:
        model = room.session.let_go()
        assert isinstance(model, OpenAIRealtimeWebSocketModel)
        surviving = SurvivingModel(model, room.session.config, lost=lost)
        session = RealtimeSession(model=surviving, config=room.session.config)
        session.carry_over(surviving)
        assert (await (await session.create_response()).outcome()).completed
        ends = weakref.ref(session), weakref.ref(surviving)
        await session.close()
        await session.close()
        del session, surviving
        assert [end() for end in ends] == [None, None]


class Ear:
    def __init__(self) -> None:
        self.heard: list[RealtimeModelEvent] = []

    def hear(self, event: RealtimeModelEvent) -> None:
        self.heard.append(event)


def test_who_listens_no_more_is_not_kept_by_the_way_to_say_so() -> None:
    listeners, ear = Listeners(), Ear()
    remove = listeners.add(ear.hear)
    listeners.emit(RealtimeModelDtmfEvent("1"))
    assert ear.heard == [RealtimeModelDtmfEvent("1")]
    end = weakref.ref(ear)
    remove()
    remove()
    listeners.emit(RealtimeModelDtmfEvent("2"))
    assert ear.heard == [RealtimeModelDtmfEvent("1")]
    del ear
    assert end() is None


@virtual
async def test_a_socket_that_outlives_its_link_tells_nobody() -> None:
    """A hand-over that is called off lets the new model go while its socket is still being closed."""
    transport = ScriptedProvider().transport()

    async def opener(url: str, headers: Mapping[str, str], **_: Any) -> MemoryTransport:
        return transport

    model = OpenAIRealtimeWebSocketModel(provider="embedded", transport=opener)
    await model.connect(RealtimeSessionConfig())
    inbound, end = model.link.inbound, weakref.ref(model.link)
    model.link.close("not needed")
    del model
    assert end() is None
    inbound.frame_received(b'{"type":"response.created","response":{"id":"r1"}}')
    inbound.transport_closed(1000, "not needed")
    await transport.wait_closed()
