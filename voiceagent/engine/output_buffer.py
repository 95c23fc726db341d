"""The output audio buffer of a call whose line the engine has: what sounds, what waits, what was cut.

Responses are heard one after the other: audio of a second one (out of band) waits until the first has been
generated to its end. Source of the events: the vendor's Realtime reference, "output_audio_buffer.*" and
"conversation.item.truncated": *started* with the first packet, *stopped* after ``response.done`` and the
last packet, *cleared* (after the truncation of what was not heard) when the caller interrupts or the client
asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from .items import Conversation
from .outbox import EventSink
from .ports import AudioFormat
from .protocol_errors import Refusal


class LineHeard(Protocol):
    """How much of one unfinished item was heard."""

    @property
    def item_id(self) -> str:
        """The item."""
        ...

    @property
    def heard_ms(self) -> int:
        """Milliseconds that have left for the caller."""
        ...

    @property
    def cut(self) -> bool:
        """False when it was played whole and only its last packet still sounds."""
        ...


class Line(Protocol):
    """The caller's line. Its owner tells the buffer when playing begins and ends."""

    @property
    def audio_format(self) -> AudioFormat:
        """The law that was agreed on."""
        ...

    def play(self, audio: bytes, response_id: str, item_id: str) -> None:
        """Queue audio of an item."""
        ...

    def play_end(self, response_id: str) -> None:
        """No more audio of this response will come."""
        ...

    def stop(self) -> Iterable[LineHeard]:
        """Silence now; return the account of every unfinished item."""
        ...


@dataclass(slots=True)
class _Sound:
    """One response on its way to the caller."""

    waiting: list[tuple[bytes, str]] = field(default_factory=list[tuple[bytes, str]])
    items: dict[str, None] = field(default_factory=dict[str, None])
    """On the line, unfinished, in order."""
    started: bool = False
    generated: bool = False


class OutputBuffer:
    """Fulfils :class:`~voiceagent.engine.responses.Player`."""

    def __init__(self, line: Line, conversation: Conversation, outlet: EventSink) -> None:
        self._line = line
        self._conversation = conversation
        self._outlet = outlet
        self._sounds: dict[str, _Sound] = {}
        self._current: str | None = None
        """The response whose audio goes to the line as it comes."""
        self._cut: set[str] = set()
        """Responses that still generate but shall not be heard any more."""

    # -- what responses do -----------------------------------------------------------------------------

    def play(self, audio: bytes, response_id: str, item_id: str) -> None:
        """Queue wire audio of one item."""
        if response_id in self._cut or not audio:
            return
        sound = self._sounds.setdefault(response_id, _Sound())
        if self._current is None:
            self._current = response_id
        if self._current == response_id:
            self._send(response_id, sound, audio, item_id)
        else:
            sound.waiting.append((audio, item_id))

    def generated(self, response_id: str) -> None:
        """A response has ended: no more audio of it will come."""
        self._cut.discard(response_id)
        sound = self._sounds.get(response_id)
        if sound is None:
            return
        sound.generated = True
        if self._current == response_id:
            self._line.play_end(response_id)
            self._current = None
            self._go_on()

    def holds(self, response_id: str) -> bool:
        """Tell whether audio of a response has not sounded to its end."""
        return response_id in self._sounds

    def cut(self) -> None:
        """Silence now; items are truncated to what was heard."""
        accounts = {account.item_id: account for account in self._line.stop()}
        sounds, self._sounds, self._current = self._sounds, {}, None
        for response_id, sound in sounds.items():
            if not sound.generated:
                self._cut.add(response_id)
            elif not sound.waiting and not any(
                accounts[item].cut for item in sound.items if item in accounts
            ):
                self._outlet.emit("output_audio_buffer.stopped", response_id=response_id)
                continue
            for item_id in dict.fromkeys([*sound.items, *(item for _, item in sound.waiting)]):
                account = accounts.get(item_id)
                if account is None or account.cut:
                    self._truncate(item_id, account)
            self._outlet.emit("output_audio_buffer.cleared", response_id=response_id)

    # -- what the line tells ---------------------------------------------------------------------------

    def playback_started(self, response_id: str) -> None:
        """The first packet of an item has left."""
        sound = self._sounds.get(response_id)
        if sound is not None and not sound.started:
            sound.started = True
            # The line plays in order: one that shares its last packet with this one's first is over.
            for earlier in [each for each, other in self._sounds.items() if other.started]:
                if earlier != response_id and self._sounds[earlier].generated:
                    self._stopped(earlier)
            self._outlet.emit("output_audio_buffer.started", response_id=response_id)

    def playback_ended(self, response_id: str, item_id: str) -> None:
        """An item was heard to its end."""
        sound = self._sounds.get(response_id)
        if sound is None:
            return
        sound.items.pop(item_id, None)
        if sound.generated and not sound.items and not sound.waiting:
            self._stopped(response_id)

    def _stopped(self, response_id: str) -> None:
        del self._sounds[response_id]
        self._outlet.emit("output_audio_buffer.stopped", response_id=response_id)

    # -- inside ----------------------------------------------------------------------------------------

    def _send(self, response_id: str, sound: _Sound, audio: bytes, item_id: str) -> None:
        sound.items[item_id] = None
        self._line.play(audio, response_id, item_id)

    def _go_on(self) -> None:
        """Let the next response that waits be heard."""
        for response_id, sound in self._sounds.items():
            if not sound.waiting:
                continue
            waiting, sound.waiting = sound.waiting, []
            for audio, item_id in waiting:
                self._send(response_id, sound, audio, item_id)
            if not sound.generated:
                self._current = response_id
                return
            self._line.play_end(response_id)

    def _truncate(self, item_id: str, account: LineHeard | None) -> None:
        if item_id not in self._conversation:
            return
        heard_ms = account.heard_ms if account is not None else 0
        try:
            self._conversation.truncate(item_id, 0, heard_ms)
        except Refusal:
            return  # a client has put another item in its place
        self._outlet.emit(
            "conversation.item.truncated", item_id=item_id, content_index=0, audio_end_ms=heard_ms
        )
