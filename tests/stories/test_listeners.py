"""Those who listen to a call, in virtual time: what they hear, what they must not, and that nobody waits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest

from tests.kit.fake_leg import FakeLeg
from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import eventually, virtual
from tests.stories.test_recordings import AGENT, CALLER, SILENCE, Kept, Line, entries
from voiceagent.call.leg import LegCapabilities
from voiceagent.call.listening import MOST, QUEUE, Listener
from voiceagent.errors import CallEnded, RequestRefused
from voiceagent.ivr import Call, Digits, Flow, flow
from voiceagent.media import live_track


@flow("talker")
async def talker(call: Call) -> None:
    while True:
        await call.respond("Talk.")
        await asyncio.sleep(0.5)


def story_of(one: Flow = talker, leg: FakeLeg | None = None, **options: Any) -> Story:
    story = Story(one, leg=leg or Line(), **options)
    story.provider.default = Reply(audio_ms=2000, sample=AGENT)
    story.start()
    return story


class Ear:
    """Takes everything that one listener is given."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.sides: dict[int, bytearray] = {live_track.CALLER: bytearray(), live_track.AGENT: bytearray()}
        self.places: dict[int, list[int]] = {live_track.CALLER: [], live_track.AGENT: []}
        self.states: list[Mapping[str, Any]] = []
        self.task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while (item := await self.listener.next()) is not None:
            if isinstance(item, bytes):
                track, place, audio = live_track.split(item)
                self.sides[track] += audio
                self.places[track].append(place)
            else:
                self.states.append(item)


async def talking(story: Story) -> None:
    await eventually(lambda: story.call.state == "talking")


@virtual
async def test_both_sides_are_heard_in_their_places_and_the_recording_goes_on_beside_it() -> None:
    @flow("recorded")
    async def recorded(call: Call) -> None:
        await call.record("all")
        await talker(call)

    kept = Kept()
    story = story_of(recorded, recordings=kept)
    await talking(story)
    await story.agent_speaks()
    ear = Ear(story.call.listening.join("ann"))
    await asyncio.sleep(1.0)
    second = Ear(story.call.listening.join("ben"))
    await asyncio.sleep(1.0)
    ear.listener.leave()
    await asyncio.sleep(1.0)
    second.listener.leave()
    story.leg.caller_hangs_up()
    await story.ends()

    assert set(ear.sides[live_track.CALLER]) == {CALLER}
    assert len(ear.sides[live_track.CALLER]) == pytest.approx(16000, abs=320)
    assert set(ear.sides[live_track.AGENT]) == {AGENT}
    assert len(second.sides[live_track.CALLER]) == pytest.approx(16000, abs=320)
    for places in (*ear.places.values(), *second.places.values()):
        assert all(later - earlier >= 160 for earlier, later in pairwise(places))
    [(_, (caller, agent))] = kept.files.items()
    assert caller.count(CALLER) == pytest.approx(len(caller), abs=1600)
    assert agent.count(AGENT) > 8000
    told = [(one["type"], one["operator"]) for one in story.entries if "listen" in one["type"]]
    began, over = "operator.listen", "operator.listen_ended"
    assert told == [(began, "ann"), (began, "ben"), (over, "ann"), (over, "ben")]


@virtual
async def test_who_listens_is_told_to_each_and_shown_until_they_leave() -> None:
    story = story_of()
    await talking(story)
    ear = Ear(story.call.listening.join("ann"))
    await asyncio.sleep(0.1)
    ben = story.call.listening.join("ben")
    await asyncio.sleep(0.1)
    ben.leave()
    ben.leave()
    await asyncio.sleep(0.1)
    assert [[one["name"] for one in state["listeners"]] for state in ear.states] == [
        ["ann"],
        ["ann", "ben"],
        ["ann"],
    ]
    assert ear.states[0]["you"] == ear.listener.id
    assert [one["name"] for one in story.call.listening.names] == ["ann"]
    story.leg.caller_hangs_up()
    await story.ends()
    await ear.task
    assert ear.listener.ended == "call_ended"
    assert story.call.listening.names == ()


@virtual
async def test_a_slow_listener_loses_the_oldest_and_the_call_does_not_wait() -> None:
    story = story_of()
    await talking(story)
    slow = story.call.listening.join("slow")
    await asyncio.sleep(10.0)
    sent = len(story.leg.played) // 160
    assert sent > 300
    assert slow.dropped > 500
    kept: list[int] = []
    while len(kept) < QUEUE:
        item = await slow.next()
        if isinstance(item, bytes):
            kept.append(live_track.split(item)[1])
    assert min(kept) > 8000 * 8, "what is left is the newest"
    slow.leave()
    [over] = entries(story, "operator.listen_ended")
    assert over["dropped"] == slow.dropped


@virtual
async def test_a_secret_is_silence_to_listeners_and_they_are_told() -> None:
    @flow("pin")
    async def pin(call: Call) -> None:
        await asyncio.sleep(1.0)
        with call.private():
            await call.collect("Your PIN?", digits=Digits(4))
        await asyncio.sleep(60)

    story = story_of(pin)
    await talking(story)
    ear = Ear(story.call.listening.join("ann"))
    await eventually(lambda: story.call.secret_open)
    before = len(ear.sides[live_track.CALLER])
    await asyncio.sleep(1.0)
    story.leg.press("1234")
    await asyncio.sleep(0.5)
    assert set(ear.sides[live_track.CALLER][before + 160 :]) == {SILENCE}
    assert AGENT not in ear.sides[live_track.AGENT]
    await eventually(lambda: not story.call.secret_open, within_s=30)
    await asyncio.sleep(0.5)
    assert ear.sides[live_track.CALLER][-1] == CALLER
    assert [state["muted"] for state in ear.states] == [False, True, False]


@virtual
async def test_a_caller_on_our_hold_is_not_overheard() -> None:
    story = story_of()
    await talking(story)
    ear = Ear(story.call.listening.join("ann"))
    await story.call.holding.hold()
    await asyncio.sleep(0.1)
    before = len(ear.sides[live_track.CALLER])
    await asyncio.sleep(1.0)
    assert set(ear.sides[live_track.CALLER][before:]) == {SILENCE}


@virtual
async def test_hosted_unanswered_and_ended_calls_and_crowds_are_refused() -> None:
    leg = FakeLeg()
    leg.capabilities = LegCapabilities(can_record=False)
    story = story_of(leg=leg)
    with pytest.raises(RequestRefused) as refusal:
        story.call.listening.join("ann")
    assert refusal.value.code == "not_answered"
    await talking(story)
    assert "listen" not in story.call.operating.abilities
    with pytest.raises(RequestRefused) as refusal:
        story.call.listening.join("ann")
    assert refusal.value.code == "not_supported"
    leg.capabilities = LegCapabilities(can_record=True)
    for number in range(MOST):
        story.call.listening.join(f"ear {number}")
    with pytest.raises(RequestRefused) as refusal:
        story.call.listening.join("one more")
    assert refusal.value.code == "too_many_listeners"
    story.leg.caller_hangs_up()
    await story.ends()
    with pytest.raises(CallEnded):
        story.call.listening.join("late")
