"""The provider of the load bench: a Realtime server that plays a fixed script to every call.

Every 6 s the caller says something for 1 s, and is silent else; the bridge under test then asks for a
response, and 4 s of audio come down five times faster than real time, in deltas of 200 ms with a transcript
delta each. Every second answer is interrupted after 2 s: the caller speaks, ``speech_started`` goes out, and
the bridge must silence its phone and send ``conversation.item.truncate``.
"""

from __future__ import annotations

import array
import asyncio
import binascii
import json
import math
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from voiceagent.bench.load_frames import FRAME, read_stamp, stamped
from voiceagent.bench.load_phones import Phone

try:
    from pybase64 import b64decode, b64encode
except ImportError:
    from base64 import b64decode, b64encode

PERIOD_S = 6.0
SPEECH_S = 1.0
ONSET_FRAMES = 75
"""Sound after so much silence is the beginning of a say."""
ANSWER_FRAMES = 200
DELTA_FRAMES = 10
SPEED = 5
BARGE_AFTER_S = 2.0

_APPEND = b'"input_audio_buffer.append"'
_AUDIO = b'"audio":'
PCM_BYTES_PER_S = 48_000


def tone() -> bytes:
    """Return one delta of a loud tone, 24 kHz PCM, as it travels: in base64."""
    samples = range(DELTA_FRAMES * 480)
    wave = [int(8000 * math.sin(2 * math.pi * 440 * n / 24_000)) for n in samples]
    return b64encode(struct.pack(f"<{len(wave)}h", *wave))


TONE = tone()


def _nowhere(data: bytes) -> None:
    del data


def _no_figures() -> array.array[float]:
    return array.array("d")


@dataclass
class ProviderFigures:
    """What all sessions have seen together; times in ms."""

    uplink: array.array[float] = field(default_factory=_no_figures)
    """Age of the newest frame of each append on its arrival."""
    uplink_oldest: array.array[float] = field(default_factory=_no_figures)
    """Age of the oldest sound of each append that holds sound: so long the caller's speech is on its way."""
    uplink_onset: array.array[float] = field(default_factory=_no_figures)
    """The same of the first sound after a silence: so late a turn, or a barge-in, can be seen to begin."""
    uplink_silence: array.array[float] = field(default_factory=_no_figures)
    """Age of the oldest silence of each append that holds no sound."""
    barge_in_stop: array.array[float] = field(default_factory=_no_figures)
    """From ``speech_started`` to the arrival of the last frame of the cut answer at the phone."""
    truncate: array.array[float] = field(default_factory=_no_figures)
    """From ``speech_started`` to the truncation."""
    truncate_error: array.array[float] = field(default_factory=_no_figures)
    """How far the truncation was from what the phone had received."""
    sessions: int = 0
    appends: int = 0
    appended_s: float = 0.0
    """Audio that came in them, in seconds."""
    lost: int = 0
    """Frames of the phones that never came."""
    made_up: int = 0
    """Frames that no phone sent (silence, concealment)."""
    answers: int = 0
    interruptions: int = 0
    unanswered: int = 0
    """Interruptions without a truncation."""


class ScriptedSession:
    """One session, whatever WebSocket server carries it."""

    def __init__(
        self, phone: Phone, figures: ProviderFigures, send: Callable[[bytes], None], offset_s: float
    ) -> None:
        self._phone = phone
        self._figures = figures
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._offset = offset_s
        self._timers: set[asyncio.TimerHandle] = set()
        self._events = 0
        self._turn = 0
        self._answer = 0
        self._next_frame = -1
        self._silent_frames = 0
        phone.speaking = False
        self._barge: tuple[int, int] | None = None
        """The interrupted answer and the time of ``speech_started``."""
        self._truncated = False
        self._configured = False
        self._pcm = False
        """24 kHz PCM both ways, in which no stamp would survive; else G.711."""
        self._answers_by_itself = False
        self.measuring = False
        figures.sessions += 1
        self._say("session.created", session=self._session({}))

    def receive(self, data: bytes) -> None:
        """Take one text message."""
        if _APPEND in data[:120] or _APPEND in data[-120:]:  # clients differ in what they write first
            self._append(data)
            return
        event = json.loads(data)
        kind = event.get("type")
        if kind == "session.update":
            self._say("session.updated", session=self._session(event["session"]))
            self._obey(event["session"].get("audio") or {})
            if not self._configured:
                self._configured = True
                self._after(self._offset, self._caller_speaks)
        elif kind == "response.create":
            self._respond(event.get("response") or {})
        elif kind == "conversation.item.truncate":
            self._truncate(event)
        elif kind == "response.cancel":
            self._say(
                "error",
                error={
                    "type": "invalid_request_error",
                    "code": "response_cancel_not_active",
                    "message": "no active response",
                    "event_id": event.get("event_id"),
                },
            )

    def _obey(self, audio: dict[str, Any]) -> None:
        """Take the formats and whose turn it is to ask for an answer. What is not named stays."""
        heard: dict[str, Any] = audio.get("input") or {}
        spoken: dict[str, Any] = audio.get("output") or {}
        if spoken.get("format"):
            self._pcm = bool(spoken["format"]["type"] == "audio/pcm")
            self._phone.plain = self._pcm
        if heard.get("turn_detection"):
            self._answers_by_itself = heard["turn_detection"].get("create_response") is not False

    def close(self) -> None:
        """The socket is gone."""
        self._send = _nowhere
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _session(self, changes: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "realtime",
            "object": "realtime.session",
            "id": f"sess_{self._phone.number}",
            "model": "load",
            "output_modalities": ["audio"],
            **changes,
        }

    def _say(self, kind: str, **fields: Any) -> None:
        self._events += 1
        event = {"type": kind, "event_id": f"event_{self._events}", **fields}
        self._send(json.dumps(event).encode())

    def _after(self, seconds: float, act: Callable[..., None], *args: Any) -> None:
        def run() -> None:
            self._timers.discard(handle)
            act(*args)

        handle = self._loop.call_later(seconds, run)
        self._timers.add(handle)

    def _append(self, data: bytes) -> None:
        now = time.monotonic_ns()
        start = data.index(b'"', data.find(_AUDIO) + len(_AUDIO)) + 1
        if self._pcm:
            if self.measuring:
                self._figures.appends += 1
                self._figures.appended_s += (len(data) - start) * 3 / 4 / PCM_BYTES_PER_S
            return
        try:
            audio = b64decode(data[start : data.index(b'"', start)])
        except (binascii.Error, ValueError):
            return
        figures = self._figures
        newest = oldest = oldest_sound = 0
        for at in range(0, len(audio) - FRAME + 1, FRAME):
            stamp = read_stamp(audio, at)
            if stamp is None:
                figures.made_up += self.measuring
                continue
            number = stamp[1]
            if self._next_frame >= 0 and number > self._next_frame and self.measuring:
                figures.lost += number - self._next_frame
            self._next_frame = number + 1
            newest = stamp[2]
            oldest = oldest or newest
            if stamp[3]:
                oldest_sound = oldest_sound or newest
                if self._silent_frames >= ONSET_FRAMES and self.measuring:
                    figures.uplink_onset.append((now - newest) / 1e6)
                self._silent_frames = 0
            else:
                self._silent_frames += 1
        if self.measuring:
            figures.appends += 1
            figures.appended_s += len(audio) / 8000
            if newest:
                figures.uplink.append((now - newest) / 1e6)
                ages = figures.uplink_oldest if oldest_sound else figures.uplink_silence
                ages.append((now - (oldest_sound or oldest)) / 1e6)

    # ── the caller's side of the script ─────────────────────────────────────────────────────────
    def _caller_speaks(self) -> None:
        self._turn += 1
        self._after(PERIOD_S, self._caller_speaks)
        item = f"item_caller_{self._turn}"
        self._phone.speaking = True
        self._say("input_audio_buffer.speech_started", audio_start_ms=0, item_id=item)
        self._after(SPEECH_S, self._caller_stops, item, True)

    def _caller_stops(self, item: str, wants_answer: bool) -> None:
        self._phone.speaking = False
        self._say("input_audio_buffer.speech_stopped", audio_end_ms=0, item_id=item)
        if wants_answer:
            self._say("input_audio_buffer.committed", item_id=item, previous_item_id=None)
            if self._answers_by_itself:
                self._respond({})

    # ── answers ─────────────────────────────────────────────────────────────────────────────────
    def _respond(self, wish: dict[str, Any]) -> None:
        self._answer += 1
        answer = self._answer
        if self.measuring:
            self._figures.answers += 1
        response_id, item_id = f"resp_{answer}", f"item_{answer}"
        item: dict[str, Any] = {
            "id": item_id,
            "object": "realtime.item",
            "type": "message",
            "status": "in_progress",
            "role": "assistant",
            "content": [],
        }
        self._say("response.created", response=self._response(response_id, "in_progress", wish))
        place = {"response_id": response_id, "output_index": 0}
        self._say("response.output_item.added", **place, item=item)
        self._say("conversation.item.added", previous_item_id=None, item=item)
        self._say(
            "response.content_part.added",
            **place,
            item_id=item_id,
            content_index=0,
            part={"type": "audio", "transcript": ""},
        )
        self._delta(answer, response_id, item_id, 0, wish)

    def _response(self, response_id: str, status: str, wish: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": response_id,
            "object": "realtime.response",
            "status": status,
            "status_details": None,
            "output": [],
            "conversation_id": "conv",
            "output_modalities": ["audio"],
            "metadata": wish.get("metadata"),
            "usage": None,
        }

    def _delta(self, answer: int, response_id: str, item_id: str, first: int, wish: dict[str, Any]) -> None:
        now = time.monotonic_ns()
        if self._pcm:
            audio = TONE
            if first == 0:
                self._phone.awaiting_ns = now
        else:
            frames = [stamped(answer & 0xFFFF, first + n, now) for n in range(DELTA_FRAMES)]
            audio = b64encode(b"".join(frames))
        self._events += 1
        self._send(
            b'{"type":"response.output_audio.delta","event_id":"event_%d","response_id":"%s","item_id":"%s",'
            b'"output_index":0,"content_index":0,"delta":"%s"}'
            % (self._events, response_id.encode(), item_id.encode(), audio)
        )
        place = {"response_id": response_id, "item_id": item_id, "output_index": 0, "content_index": 0}
        self._say("response.output_audio_transcript.delta", **place, delta="word ")
        first += DELTA_FRAMES
        if first == DELTA_FRAMES and answer % 2 == 0:
            self._after(BARGE_AFTER_S, self._barge_in, answer)
        if first < ANSWER_FRAMES:
            self._after(DELTA_FRAMES * 0.02 / SPEED, self._delta, answer, response_id, item_id, first, wish)
            return
        text = "word " * (ANSWER_FRAMES // DELTA_FRAMES)
        self._say("response.output_audio.done", **place)
        self._say("response.output_audio_transcript.done", **place, transcript=text)
        item = {
            "id": item_id,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_audio", "transcript": text}],
        }
        self._say("response.content_part.done", **place, part={"type": "audio", "transcript": text})
        self._say("response.output_item.done", response_id=response_id, output_index=0, item=item)
        self._say("conversation.item.done", previous_item_id=None, item=item)
        done = self._response(response_id, "completed", wish)
        done["output"] = [item]
        self._say("response.done", response=done)

    def _barge_in(self, answer: int) -> None:
        item = f"item_barge_{answer}"
        self._phone.speaking = True
        self._barge = (answer, time.monotonic_ns())
        self._truncated = False
        self._say("input_audio_buffer.speech_started", audio_start_ms=0, item_id=item)
        self._after(SPEECH_S, self._caller_stops, item, False)
        self._after(0.5, self._judge, answer, self.measuring)

    def _truncate(self, event: dict[str, Any]) -> None:
        now = time.monotonic_ns()
        self._say(
            "conversation.item.truncated",
            item_id=event["item_id"],
            content_index=event.get("content_index", 0),
            audio_end_ms=event["audio_end_ms"],
        )
        barge = self._barge
        if barge is None or event["item_id"] != f"item_{barge[0]}":
            return
        self._truncated = True
        if self.measuring:
            self._figures.truncate.append((now - barge[1]) / 1e6)
        self._after(0.2, self._check_truncation, barge[0], int(event["audio_end_ms"]), self.measuring)

    def _check_truncation(self, answer: int, audio_end_ms: int, measured: bool) -> None:
        heard = self._phone.heard.get(answer & 0xFFFF, 0)
        if measured and not self._pcm:
            self._figures.truncate_error.append(abs(audio_end_ms - heard * 20))

    def _judge(self, answer: int, measured: bool) -> None:
        barge = self._barge
        if barge is None or not measured:
            return
        self._figures.interruptions += 1
        if not self._truncated:
            self._figures.unanswered += 1
        phone = self._phone
        last = phone.last_loud_ns if self._pcm else phone.last_heard_ns.get(answer & 0xFFFF, 0)
        self._figures.barge_in_stop.append(max(0.0, (last - barge[1]) / 1e6))
