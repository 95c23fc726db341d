"""A human takes the agent's place, in virtual time: one voice, nothing lost, the conversation complete."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import eventually, virtual
from tests.stories.test_recordings import AGENT, entries
from voiceagent.call.listening import Listener
from voiceagent.call.take_over import LOST_S
from voiceagent.errors import CallEnded, RequestRefused
from voiceagent.ivr import Call, Digits, Flow, flow
from voiceagent.media import g711
from voiceagent.media.tones import sine

VOICE = g711.encode(sine(300, 20))
"""20 ms of the operator's voice."""
QUIET = bytes((g711.ULAW_SILENCE,)) * 160


@flow("talker")
async def talker(call: Call) -> None:
    while True:
        await call.respond("Talk.")
        await asyncio.sleep(0.5)


class Scene:
    """A call, and an operator with a microphone who listens to it."""

    def __init__(self, one: Flow = talker, **options: Any) -> None:
        self.story = Story(one, **options)
        self.story.provider.default = Reply(audio_ms=2000, sample=AGENT)
        self.story.start()
        self.call = self.story.call
        self.saying = QUIET
        self._tasks: list[asyncio.Task[None]] = []

    async def begins(self, operator: str = "ann") -> Listener:
        await eventually(lambda: self.call.state == "talking")
        self._tasks.append(asyncio.get_running_loop().create_task(self._caller()))
        return self.call.listening.join(operator)

    async def _caller(self) -> None:
        """The caller's frames come all the time, as RTP does."""
        while not self.story.leg.ended:
            self.story.leg.hears(QUIET)
            await asyncio.sleep(0.02)

    def microphone(self, listener: Listener) -> asyncio.Task[None]:
        """The operator's frames come all the time; ``saying`` is what they hold."""

        async def run() -> None:
            while True:
                listener.voice(self.saying)
                await asyncio.sleep(0.02)

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.append(task)
        return task

    async def takes_over(self, operator: str = "ann") -> asyncio.Task[None]:
        listener = await self.begins(operator)
        await self.story.agent_speaks()
        await self.call.operating.take_over(operator)
        return self.microphone(listener)

    async def says(self, seconds: float) -> None:
        self.saying = VOICE
        await asyncio.sleep(seconds)
        self.saying = QUIET

    async def ends(self) -> None:
        for task in self._tasks:
            task.cancel()
        self.story.leg.caller_hangs_up()
        await self.story.ends()

    def line_of(self, since: int) -> bytes:
        return bytes(self.story.leg.line[since:])

    def reasons(self) -> list[str]:
        return [entry.reason for entry in self.call.ledger if entry.outcome is None]


@virtual
async def test_the_humans_voice_is_heard_and_the_agents_is_not() -> None:
    scene = Scene()
    await scene.takes_over()
    before = len(scene.story.leg.line)
    await scene.says(3.0)
    line = scene.line_of(before)
    assert AGENT not in line
    assert line.count(VOICE) * 0.02 == pytest.approx(3.0, abs=0.2)
    assert scene.call.take_over.operator == "ann"
    assert scene.call.floor == "operator"
    [first, *_] = scene.call.ledger
    assert first.outcome is not None
    assert (first.outcome.kind.value, first.outcome.by) == ("interrupted", "operator")
    assert 0 < first.outcome.heard_ms < 2000
    await scene.ends()


@virtual
async def test_what_is_asked_for_meanwhile_waits_with_the_reason_and_is_said_after() -> None:
    scene = Scene()
    await scene.takes_over()
    scene.call.trigger("Say that it rains.", {}, request_id="req_rain")
    await asyncio.sleep(5.0)
    assert set(scene.reasons()) == {"taken_over"}
    creates = len(scene.story.provider.creates())
    before = len(scene.story.leg.line)
    await scene.call.operating.hand_back("ben")
    await eventually(lambda: len(scene.story.provider.creates()) > creates)
    await scene.story.agent_speaks()
    rain = scene.call.ledger.get("req_rain")
    assert rain is not None
    await eventually(lambda: rain.outcome is not None, within_s=30)
    assert rain.outcome is not None
    assert rain.outcome.completed
    assert AGENT in scene.line_of(before)
    told = [(one["type"], one.get("reason")) for one in scene.story.entries if "operator." in one["type"]]
    assert ("operator.hand_back", "asked") in told
    await scene.ends()


@virtual
async def test_what_the_human_and_the_caller_say_is_in_the_transcript_and_the_model_knows_who_said_it() -> (
    None
):
    scene = Scene()
    await scene.takes_over()
    sent = scene.story.provider
    await scene.says(1.0)
    at = scene.call.session.audio_ms if scene.call.session else 0.0
    await eventually(lambda: scene.call.take_over.words._spans)  # pyright: ignore[reportPrivateUsage]
    place = scene.call.take_over.words._spans[-1]  # pyright: ignore[reportPrivateUsage]
    assert place[0] < at + 2000
    provider = scene.story.provider
    provider.emit("input_audio_buffer.speech_started", audio_start_ms=int(place[0]) + 200, item_id="op_1")
    provider.emit("input_audio_buffer.speech_stopped", audio_end_ms=int(place[1]), item_id="op_1")
    provider.emit("input_audio_buffer.committed", item_id="op_1", previous_item_id=None)
    provider.emit(
        "conversation.item.input_audio_transcription.completed",
        item_id="op_1",
        content_index=0,
        transcript="I will help you.",
        usage={"type": "duration", "seconds": 1.0},
    )
    await asyncio.sleep(0.2)
    provider.emit("input_audio_buffer.speech_started", audio_start_ms=int(place[1]) + 2000, item_id="turn_9")
    provider.emit("input_audio_buffer.speech_stopped", audio_end_ms=int(place[1]) + 3000, item_id="turn_9")
    provider.emit("input_audio_buffer.committed", item_id="turn_9", previous_item_id=None)
    provider.emit(
        "conversation.item.input_audio_transcription.completed",
        item_id="turn_9",
        content_index=0,
        transcript="Thank you.",
        usage={"type": "duration", "seconds": 1.0},
    )
    await asyncio.sleep(0.2)
    said = [(line.speaker, line.text) for line in scene.call.transcript.lines if line.speaker != "agent"]
    assert said == [("operator", "I will help you."), ("caller", "Thank you.")]
    deleted = [one["item_id"] for one in sent.received if one["type"] == "conversation.item.delete"]
    assert deleted == ["op_1"]
    notes = [
        one["item"]["content"][0]["text"]
        for one in sent.received
        if one["type"] == "conversation.item.create" and one["item"]["role"] == "system"
    ]
    assert any("I will help you." in note for note in notes)
    await scene.ends()


@virtual
async def test_an_utterance_waits_until_the_callers_turn_is_over() -> None:
    scene = Scene()
    await scene.takes_over()
    await scene.story.caller_begins()
    await scene.says(1.0)
    await asyncio.sleep(2.0)
    assert scene.call.take_over.words.busy
    await scene.story.caller_stops("Hello?")
    await eventually(lambda: entries(scene.story, "in.operator") or not scene.call.take_over.words.busy)
    await asyncio.sleep(3.0)
    assert not scene.call.take_over.words.busy
    await scene.ends()


@virtual
async def test_a_lost_microphone_is_waited_for_with_a_sound_and_then_the_agent_is_back_and_speaks() -> None:
    @flow("waiter")
    async def waiter(call: Call) -> None:
        await call.respond("Talk.")
        await asyncio.Event().wait()

    scene = Scene(waiter)
    microphone = await scene.takes_over()
    await scene.says(1.0)
    microphone.cancel()
    before = len(scene.story.leg.line)
    await asyncio.sleep(LOST_S - 0.5)
    assert scene.call.take_over.on
    waiting = scene.line_of(before)
    assert any(one not in (QUIET, VOICE) for one in map(waiting.__getitem__, _frames(waiting))), "comfort"
    await eventually(lambda: not scene.call.take_over.on)
    await scene.story.agent_speaks()
    [back] = entries(scene.story, "operator.hand_back")
    assert back["reason"] == "voice_lost"
    await scene.ends()


def _frames(audio: bytes) -> list[slice]:
    return [slice(at, at + 160) for at in range(0, len(audio) - 159, 160)]


@virtual
async def test_the_socket_may_come_back_in_time() -> None:
    scene = Scene()
    microphone = await scene.takes_over()
    await asyncio.sleep(1.0)
    microphone.cancel()
    scene.call.listening.of("ann")[0].leave()
    await asyncio.sleep(2.0)
    scene.microphone(scene.call.listening.join("ann"))
    await asyncio.sleep(LOST_S + 2)
    assert scene.call.take_over.operator == "ann"
    await scene.ends()


@virtual
async def test_nobody_else_speaks_on_it_and_nobody_takes_it_twice() -> None:
    scene = Scene()
    await scene.takes_over()
    stranger = scene.call.listening.join("eve")
    before = len(scene.story.leg.line)
    for _ in range(50):
        stranger.voice(VOICE)
        await asyncio.sleep(0.02)
    assert VOICE not in scene.line_of(before)
    with pytest.raises(RequestRefused) as refusal:
        await scene.call.operating.take_over("eve")
    assert refusal.value.code == "taken_over"
    await scene.call.operating.take_over("ann")
    assert len(entries(scene.story, "operator.take_over")) == 1
    await scene.ends()


@virtual
async def test_who_does_not_listen_and_a_secret_cannot_be_taken_over() -> None:
    @flow("pin")
    async def pin(call: Call) -> None:
        await asyncio.sleep(1.0)
        with call.private():
            await call.collect("Your PIN?", digits=Digits(4))
        await asyncio.sleep(60)

    scene = Scene(pin)
    await eventually(lambda: scene.call.state == "talking")
    with pytest.raises(RequestRefused) as refusal:
        await scene.call.operating.take_over("ann")
    assert refusal.value.code == "listen_first"
    await scene.begins()
    await eventually(lambda: scene.call.secret_open)
    with pytest.raises(RequestRefused) as refusal:
        await scene.call.operating.take_over("ann")
    assert refusal.value.code == "secret"
    await scene.call.operating.hand_back("ann")
    await scene.ends()
    with pytest.raises(CallEnded):
        await scene.call.operating.take_over("ann")


@virtual
async def test_the_flow_waits_and_does_not_hang_up_under_the_human() -> None:
    @flow("brief")
    async def brief(call: Call) -> None:
        await call.respond("Talk.")
        await asyncio.sleep(1.0)

    scene = Scene(brief)
    await scene.takes_over()
    scene.story.leg.press("5")
    await scene.story.caller_says("I want a human.")
    await asyncio.sleep(60)
    assert scene.call.state == "talking"
    assert scene.story.observed.notices.count("dead_air") == 0
    await scene.call.operating.hand_back("ann")
    outcome = await scene.story.ends()
    assert outcome.reason == "completed"


@virtual
async def test_hold_and_resume_under_the_human_and_the_end_of_the_call() -> None:
    scene = Scene()
    await scene.takes_over()
    await scene.call.operating.hold("ann")
    await scene.call.operating.resume("ann")
    before = len(scene.story.leg.line)
    await scene.says(1.0)
    assert VOICE in scene.line_of(before)
    assert AGENT not in scene.line_of(before)
    await scene.ends()
    assert not scene.call.take_over.on
    assert scene.story.leg.voice is None
