"""Figures of what calls report: depth of the queue, overlaps prevented, turns, alerts."""

from __future__ import annotations

import asyncio

from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import virtual
from voiceagent.app.alarms import Alarms
from voiceagent.app.directory import NodeDirectory
from voiceagent.app.events import EventHub
from voiceagent.call.admission import Admission
from voiceagent.call.config import AdmissionConfig
from voiceagent.console.ports import LiveEvent, Trigger
from voiceagent.ids import counted_tokens
from voiceagent.ivr import Call, flow
from voiceagent.observe.alerts import AlertConfig
from voiceagent.observe.metrics import Metrics


@flow("waiter")
async def waiter(call: Call) -> None:
    await asyncio.Event().wait()


class Node:
    """One call in virtual time, with everything that watches it."""

    def __init__(self) -> None:
        self.hub, self.metrics = EventHub(), Metrics()
        self.alarms = Alarms(
            AlertConfig(dead_air_s=3.0),
            self.hub,
            self.metrics,
            counted_tokens("a"),
            provider="scripted",
            clock=asyncio.get_running_loop().time,
        )
        self.directory = NodeDirectory(
            self.hub,
            self.metrics,
            counted_tokens("d"),
            provider="scripted",
            readiness=lambda: (True, {}),
            alarms=self.alarms,
        )
        self.told: list[LiveEvent] = []
        self.hub.listen(self.told.append)
        self.story = Story(waiter)
        self.story.call._observer = self.directory  # pyright: ignore[reportPrivateUsage]
        self.directory.add(self.story.call)
        self.story.start()

    def ask(self) -> None:
        self.directory.trigger("call_1", Trigger("Speak.", {}), idempotency_key=None, operator="ann")

    def figure(self, name: str) -> float:
        lines = self.metrics.render().splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith(f"voiceagent_{name} "))

    def alerts(self) -> list[str]:
        return [event.type for event in self.told if event.type.startswith("alert.")]


@virtual
async def test_the_depth_of_the_queue_and_what_was_held_back() -> None:
    node = Node()
    node.story.provider.plans.extend([Reply(audio_ms=5000, gap_s=0.3), Reply(), Reply()])
    await asyncio.sleep(1)
    for _ in range(3):
        node.ask()
    await asyncio.sleep(1)
    assert node.figure("response_queue_depth") == 2.0
    assert node.figure("overlap_prevented_total") >= 1.0
    await asyncio.sleep(30)
    assert node.figure("response_queue_depth") == 0.0


@virtual
async def test_a_call_that_ends_leaves_nothing_in_the_queue() -> None:
    node = Node()
    node.story.provider.plans.append(Reply(audio_ms=20_000))
    await asyncio.sleep(1)
    for _ in range(3):
        node.ask()
    await asyncio.sleep(1)
    assert node.figure("response_queue_depth") == 2.0
    node.story.call.end("operator_hung_up")
    await asyncio.sleep(10)
    assert node.figure("response_queue_depth") == 0.0


@virtual
async def test_dead_air_is_told_while_it_lasts() -> None:
    node = Node()
    admission = Admission(AdmissionConfig(max_calls=9))

    async def watch(seconds: int) -> None:
        for _ in range(seconds):
            await asyncio.sleep(1)
            node.alarms.look(node.directory.live, admission, ())

    await watch(2)
    assert node.alerts() == []
    await watch(3)  # answered, and nobody says a word
    assert node.alerts() == ["alert.raised"]
    node.ask()
    await watch(40)
    assert node.alerts() == ["alert.raised"]
    await watch(30)
    assert node.alerts() == ["alert.raised", "alert.cleared"]


@virtual
async def test_a_turn_is_counted_when_it_is_answered() -> None:
    node = Node()
    await asyncio.sleep(1)
    provider = node.story.provider
    item = provider.speech_started(100)
    await asyncio.sleep(1)
    provider.speech_stopped(item, 1000)
    provider.transcribed(item, "Hello?")
    await asyncio.sleep(0.5)
    node.ask()
    await asyncio.sleep(5)
    assert node.figure("turn_latency_seconds_count") == 1.0
    assert 0.5 <= node.figure("turn_latency_seconds_sum") < 2.0
