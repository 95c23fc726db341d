"""The output buffer alone: what it tells of sounding, waiting and cut responses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from voiceagent.engine.items import Conversation
from voiceagent.engine.output_buffer import OutputBuffer
from voiceagent.engine.ports import AudioFormat
from voiceagent.media.playout import FRAME, Heard, Playout, Started


@dataclass
class Outlet:
    told: list[tuple[str, Any]] = field(default_factory=list)

    def new_id(self, prefix: str) -> str:
        return f"{prefix}_1"

    def emit(self, kind: str, **fields: Any) -> None:
        self.told.append((kind.removeprefix("output_audio_buffer."), fields.get("response_id")))

    def close(self, code: int, reason: str) -> None:
        raise AssertionError


class Phone:
    """A line over the real playout, driven frame by frame."""

    audio_format: AudioFormat = "audio/pcmu"

    def __init__(self) -> None:
        self.playout = Playout()
        self.heard: list[bytes] = []
        self.conversation = Conversation("conv_1")
        self.outlet = Outlet()
        self.buffer = OutputBuffer(self, self.conversation, self.outlet)

    def play(self, audio: bytes, response_id: str, item_id: str) -> None:
        self.playout.write(audio, response_id, item_id)

    def play_end(self, response_id: str) -> None:
        self.playout.end(response_id)

    def stop(self) -> Iterable[Heard]:
        return self.playout.flush()

    def tick(self) -> None:
        frame = self.playout.take()
        if frame is not None:
            self.heard.append(frame)
        facts, self.playout.facts = self.playout.facts, []
        for fact in facts:
            if isinstance(fact, Started):
                self.buffer.playback_started(fact.response_id)
            else:
                self.buffer.playback_ended(fact.response_id, fact.item_id)

    def drain(self) -> None:
        while self.playout.ready or self.playout.busy:
            self.tick()


def test_responses_sound_one_after_the_other_whatever_order_their_audio_comes_in() -> None:
    phone = Phone()
    for _ in range(3):
        phone.buffer.play(b"a" * FRAME, "A", "a")
        phone.buffer.play(b"b" * FRAME, "B", "b")
    phone.buffer.generated("B")
    phone.buffer.generated("A")
    phone.drain()
    assert [frame[:1] for frame in phone.heard] == [b"a"] * 3 + [b"b"] * 3
    assert phone.outlet.told == [("started", "A"), ("stopped", "A"), ("started", "B"), ("stopped", "B")]


def test_stopped_comes_only_after_the_response_is_done() -> None:
    phone = Phone()
    phone.buffer.play(b"a" * FRAME * 2, "A", "a")
    for _ in range(5):
        phone.tick()
    assert phone.outlet.told == [("started", "A")]
    phone.buffer.generated("A")
    phone.drain()
    assert phone.outlet.told[-1] == ("stopped", "A")


def test_two_messages_of_one_response_are_one_sound() -> None:
    phone = Phone()
    phone.buffer.play(b"a" * 100, "A", "a1")
    phone.buffer.play(b"a" * 100, "A", "a2")
    phone.buffer.generated("A")
    phone.drain()
    assert phone.outlet.told == [("started", "A"), ("stopped", "A")]


def test_a_last_packet_that_still_sounds_is_not_cut() -> None:
    phone = Phone()
    phone.buffer.play(b"a" * FRAME, "A", "a")
    phone.buffer.generated("A")
    phone.tick()
    phone.buffer.cut()
    assert phone.outlet.told == [("started", "A"), ("stopped", "A")]


class Life(RuleBasedStateMachine):
    """Any order of generating, playing and cutting: each response that sounded ends in exactly one way."""

    def __init__(self) -> None:
        super().__init__()
        self.phone = Phone()
        self.open: list[str] = []
        self.made = 0

    @rule()
    @precondition(lambda self: len(self.open) < 3)
    def begin(self) -> None:
        self.made += 1
        self.open.append(f"r{self.made}")

    @rule(pick=st.integers(0, 2), frames=st.integers(1, 700), item=st.integers(1, 2))
    @precondition(lambda self: self.open)
    def speak(self, pick: int, frames: int, item: int) -> None:
        response = self.open[pick % len(self.open)]
        item_id = f"{response}-{item}"
        if item_id not in self.phone.conversation:
            content = [{"type": "output_audio"}]
            message = {"id": item_id, "type": "message", "role": "assistant", "content": content}
            self.phone.conversation.add(message)
        self.phone.conversation.spoken(item_id, frames / 8)
        self.phone.buffer.play(b"x" * frames, response, item_id)

    @rule(pick=st.integers(0, 2))
    @precondition(lambda self: self.open)
    def finish(self, pick: int) -> None:
        self.phone.buffer.generated(self.open.pop(pick % len(self.open)))

    @rule(ticks=st.integers(1, 8))
    def hear(self, ticks: int) -> None:
        for _ in range(ticks):
            self.phone.tick()

    @rule()
    def cut(self) -> None:
        self.phone.buffer.cut()

    @invariant()
    def one_sounds_at_a_time(self) -> None:
        sounding: set[str] = set()
        ended: set[str] = set()
        for kind, response in self.phone.outlet.told:
            if kind == "started":
                assert not sounding
                assert response not in ended
                sounding.add(response)
            elif kind in ("stopped", "cleared"):
                assert response not in ended
                ended.add(response)
                sounding.discard(response)

    def teardown(self) -> None:
        for response in self.open:
            self.phone.buffer.generated(response)
        self.phone.drain()
        self.one_sounds_at_a_time()
        started = {response for kind, response in self.phone.outlet.told if kind == "started"}
        ended = {response for kind, response in self.phone.outlet.told if kind in ("stopped", "cleared")}
        assert started <= ended


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
