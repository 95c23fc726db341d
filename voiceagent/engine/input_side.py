"""The input side of a session: the buffer, the caller's turns, their transcripts."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from voiceagent.tasks import TaskNest

from .floor import Floor
from .hearing import Hearing, SpokenTurn
from .hints import expectation
from .items import Conversation, Item, view
from .listening import Ear, Heard
from .outbox import EventSink
from .parts_pool import PartsPool
from .ports import Hypothesis, Recogniser, Vad
from .protocol_errors import Refusal
from .resample import Resampler
from .session_state import SessionState
from .turns import IdleTimeout, SpeechPaused, SpeechStarted, SpeechStopped
from .wire_audio import LINE_RATE, WIRE_RATES, decode, encode

LEAST_COMMIT_MS = 100.0
FRAMES_AT_ONCE = 32
"""About one second of audio is judged before other sessions get their turn."""
SLOW_VAD_S = 0.004
"""Mean cost of a frame above which the detector runs on a thread."""
KEPT_AUDIO = 16
"""Items whose audio can still be retrieved."""


class InputSide:
    """Feeds the ear, commits turns, and sends what was recognised."""

    def __init__(
        self,
        pool: PartsPool,
        state: SessionState,
        conversation: Conversation,
        outbox: EventSink,
        floor: Floor,
        answer: Callable[[], None],
        nest: TaskNest,
    ) -> None:
        self._pool = pool
        self._state = state
        self._conversation = conversation
        self._outbox = outbox
        self._floor = floor
        self._answer = answer
        self._nest = nest
        self._ear = Ear(state.input_format, state.turn_detection, tell_pauses=pool.speculates)
        self._hearing = Hearing(self._recogniser, self._recognised, nest)
        self._vad: Vad | None = None
        self._vad_wanted = False
        self._vad_cost = 0.0
        self._judging = False
        self._item_id: str | None = None
        self._words: dict[str, str] = {}
        self._audio: OrderedDict[str, bytes] = OrderedDict()

    # -- what the client does --------------------------------------------------------------------------

    def reconfigure(self) -> None:
        """The session's settings changed."""
        self._ear.configure(self._state.input_format, self._state.turn_detection)

    async def append(self, wire: bytes) -> None:
        """Take audio; may find edges of turns."""
        self._ear.take(wire)
        if not self._ear.automatic:
            return
        if self._vad is None:
            if not self._vad_wanted:
                self._vad_wanted = True
                self._nest.start("vad", self._fetch_vad())
            return
        await self._judge(self._vad)

    def commit(self) -> None:
        """End the caller's turn by hand."""
        have = self._ear.buffered_ms
        if have < LEAST_COMMIT_MS:
            raise Refusal(
                "input_audio_buffer_commit_empty",
                "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, "
                f"but buffer only has {have:.2f}ms of audio.",
            )
        self._commit_turn(self._ear.commit())

    def clear(self) -> None:
        """Throw the uncommitted audio away."""
        self._ear.clear()
        self._item_id = None
        self._outbox.emit("input_audio_buffer.cleared")

    def hear_item(self, item_id: str, wire: bytes) -> None:
        """Recognise the audio of an item which the client made itself."""
        rate = Resampler(WIRE_RATES[self._state.input_format], LINE_RATE)
        pcm = rate.feed(decode(wire, self._state.input_format)) + rate.flush()
        self._hear(item_id, pcm)

    def audio_of(self, item_id: str) -> bytes | None:
        """Return a caller's turn in the session's input format, if it is still kept."""
        pcm = self._audio.get(item_id)
        if pcm is None:
            return None
        form = self._state.input_format
        rate = Resampler(LINE_RATE, WIRE_RATES[form])
        return encode(rate.feed(pcm) + rate.flush(), form)

    def forget(self, item_id: str) -> None:
        """An item was deleted."""
        self._audio.pop(item_id, None)
        self._words.pop(item_id, None)

    # -- what the floor asks ---------------------------------------------------------------------------

    async def settled(self) -> None:
        """Wait until the caller's turns are recognised."""
        await self._hearing.settled()

    def with_words(self, item: Item) -> Item:
        """Return a copy of an item with the words heard in it, transcribed on the wire or not."""
        copy = view(item)
        words = self._words.get(item["id"])
        if words is not None:
            for part in copy["content"]:
                if part["type"] == "input_audio":
                    part["transcript"] = words
        return copy

    def now_ms(self) -> float:
        """Offset of appended audio."""
        return self._ear.now_ms

    def response_began(self) -> None:
        """The agent is about to speak."""
        self._ear.disarm_idle()

    def response_ended(self) -> None:
        """The agent has nothing more to say."""
        self._ear.arm_idle()

    async def close(self) -> None:
        """Give the detector back."""
        if self._vad is not None:
            self._pool.give_back(self._vad)
            self._vad = None

    def let_go(self) -> None:
        """Part it from the rest of its session, which is over: each leads back to the other."""
        del self._answer, self._floor, self._hearing

    # -- turns -----------------------------------------------------------------------------------------

    async def _fetch_vad(self) -> None:
        vad = await self._pool.take_vad()
        self._vad = vad
        await self._judge(vad)

    async def _judge(self, vad: Vad) -> None:
        """Judge all waiting frames; a second caller leaves its frames to the first."""
        if self._judging:
            return
        self._judging = True
        try:
            await self._judge_waiting(vad)
        finally:
            self._judging = False

    async def _judge_waiting(self, vad: Vad) -> None:
        while frames := self._ear.frames(FRAMES_AT_ONCE):
            loop = asyncio.get_running_loop()
            began = loop.time()
            if self._vad_cost > SLOW_VAD_S:
                probabilities = await asyncio.to_thread(_feed_all, vad, frames)
            else:
                probabilities = _feed_all(vad, frames)
            cost = (loop.time() - began) / len(frames)
            self._vad_cost += (cost - self._vad_cost) * 0.05
            for heard in self._ear.judge(frames, probabilities, self._floor.agent_until_ms()):
                self._edge(heard)
            if len(frames) == FRAMES_AT_ONCE:
                await asyncio.sleep(0)

    def _edge(self, heard: Heard) -> None:
        settings = self._state.turn_detection or {}
        match heard.event:
            case SpeechStarted(audio_start_ms):
                self._outbox.emit(
                    "input_audio_buffer.speech_started",
                    audio_start_ms=audio_start_ms,
                    item_id=self._turn_id(),
                )
                if settings.get("interrupt_response"):
                    self._floor.interrupt()
            case SpeechPaused():
                self._hearing.guess(self._turn(self._turn_id(), heard.pcm))
            case SpeechStopped(audio_end_ms):
                self._outbox.emit(
                    "input_audio_buffer.speech_stopped", audio_end_ms=audio_end_ms, item_id=self._turn_id()
                )
                self._commit_turn(heard.pcm)
                if settings.get("create_response"):
                    self._answer()
            case IdleTimeout(audio_start_ms, audio_end_ms):
                self._outbox.emit(
                    "input_audio_buffer.timeout_triggered",
                    audio_start_ms=audio_start_ms,
                    audio_end_ms=audio_end_ms,
                    item_id=self._turn_id(),
                )
                self._commit_turn(b"")
                if settings.get("create_response"):
                    self._answer()

    def _turn_id(self) -> str:
        if self._item_id is None:
            self._item_id = self._outbox.new_id("item")
        return self._item_id

    def _commit_turn(self, pcm: bytes) -> None:
        item: Item = {
            "id": self._turn_id(),
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        self._item_id = None
        self._ear.disarm_idle()
        previous = self._conversation.add(item)
        self._outbox.emit("input_audio_buffer.committed", previous_item_id=previous, item_id=item["id"])
        self._outbox.emit("conversation.item.added", previous_item_id=previous, item=view(item))
        self._outbox.emit("conversation.item.done", previous_item_id=previous, item=view(item))
        if pcm:
            self._hear(item["id"], pcm)
        else:
            self._words[item["id"]] = ""

    # -- words -----------------------------------------------------------------------------------------

    def _hear(self, item_id: str, pcm: bytes) -> None:
        self._audio[item_id] = pcm
        if len(self._audio) > KEPT_AUDIO:
            self._audio.popitem(last=False)
        self._hearing.put(self._turn(item_id, pcm))

    def _turn(self, item_id: str, pcm: bytes) -> SpokenTurn:
        return SpokenTurn(item_id, pcm, expectation(self._state.transcription, self._state.tools))

    async def _recogniser(self) -> Recogniser:
        return (await self._pool.ready()).recogniser

    def _recognised(self, turn: SpokenTurn, hypothesis: Hypothesis | None) -> None:
        item_id, wanted = turn.item_id, self._state.transcription is not None
        if hypothesis is None:
            self._words[item_id] = ""
            if wanted:
                self._emit(
                    "failed",
                    item_id,
                    error={
                        "type": "server_error",
                        "code": "audio_unintelligible",
                        "message": "The audio could not be transcribed.",
                        "param": None,
                    },
                )
            return
        text = hypothesis.text
        self._words[item_id] = text
        if not wanted:
            return
        if item_id in self._conversation:
            item = self._conversation.get(item_id, code="invalid_value", deed="transcribing")
            for part in item["content"]:
                if part["type"] == "input_audio":
                    part["transcript"] = text
        if text:
            self._emit("delta", item_id, delta=text)
        usage = {"type": "duration", "seconds": round(turn.seconds, 3)}
        self._emit("completed", item_id, transcript=text, usage=usage)

    def _emit(self, stage: str, item_id: str, **fields: Any) -> None:
        kind = f"conversation.item.input_audio_transcription.{stage}"
        self._outbox.emit(kind, item_id=item_id, content_index=0, **fields)


def _feed_all(vad: Vad, frames: list[bytes]) -> list[float]:
    return [vad.feed(frame) for frame in frames]
