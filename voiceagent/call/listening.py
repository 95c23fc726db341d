"""Those who listen to a live call: each has a bounded queue of frames, and none is ever waited for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from voiceagent.call.inputs import of_the_call, write_operator
from voiceagent.call.observer import CallObserver
from voiceagent.errors import CallEnded, RequestRefused
from voiceagent.media.live_track import AGENT, CALLER, RATE, LiveTrack

if TYPE_CHECKING:
    from voiceagent.call.call import Call

QUEUE = 100
"""Frames kept for one listener: a second of both sides. The oldest make place."""
MOST = 16
"""Listeners of one call."""


class Listening:
    """The listeners of one call; fulfils :class:`~voiceagent.call.leg.LegTap`.

    While a secret is taken they hear silence, as a recording does; so they do of a caller whom nobody is to
    hear (on our hold, in a queue).
    """

    __slots__ = ("_all", "_call", "_count", "_loop", "_muted", "_observer", "_tracks")

    def __init__(self, call: Call, observer: CallObserver) -> None:
        self._call = call
        self._observer = observer
        self._loop = asyncio.get_running_loop()
        began = self._loop.time() - call.seconds
        self._tracks = LiveTrack(CALLER, began), LiveTrack(AGENT, began)
        self._all: dict[str, Listener] = {}
        self._count = 0
        self._muted = False

    @property
    def able(self) -> bool:
        """Both sides' sound passes us."""
        return self._call.leg.capabilities.can_record

    @property
    def names(self) -> Sequence[Mapping[str, Any]]:
        """Who listens, and since when (Unix time), in the order of coming."""
        return tuple({"name": one.name, "since": one.since} for one in self._all.values())

    def of(self, operator: str) -> Sequence[Listener]:
        """Return this operator's, the newest first."""
        return [one for one in reversed(self._all.values()) if one.name == operator]

    def check(self) -> None:
        """Raise what :meth:`join` will: CallEnded, or RequestRefused (not_answered, not_supported,
        too_many_listeners)."""
        call = self._call
        word = call.ending.word
        if word in ("offered", "dialling", "ringing"):
            raise RequestRefused("call", "is not answered yet", code="not_answered")
        if call.closing or call.leg_gone:
            raise CallEnded(outcome=word)
        if not self.able:
            words = f"this call ({call.info.kind}) does not support it"
            raise RequestRefused("listen", words, code="not_supported")
        if len(self._all) >= MOST:
            raise RequestRefused("listen", f"{MOST} listen already", code="too_many_listeners")

    def join(self, operator: str) -> Listener:
        """Let one more hear both sides from now on. Raises what :meth:`check` says."""
        write_operator(self._call.journal, "listen", operator=operator)
        with of_the_call(self._call.journal):
            self.check()
            return self._joined(operator)

    def _joined(self, operator: str) -> Listener:
        self._count += 1
        since = round(self._call.wall(self._loop.time()), 3)
        one = Listener(self, str(self._count), operator, since, self._loop.time())
        self._call.journal.write("operator.listen", operator=operator, listener=one.id)
        self._all[one.id] = one
        if len(self._all) == 1:
            self._muted = self._call.secrecy.deaf
            self._call.taps.add(self)
        self.changed()
        return one

    def leave(self, listener_id: str, dropped: int = 0) -> None:
        """One has gone; ``dropped`` frames were not taken in time. Unknown ids are ignored."""
        if listener_id not in self._all:
            return
        write_operator(self._call.journal, "listen_ended", listener=listener_id, dropped=dropped)
        with of_the_call(self._call.journal):
            self._gone(self._all.pop(listener_id), dropped)
            if not self._all:
                self._call.taps.remove(self)
            self.changed()

    def close(self) -> None:
        """The call is over: whoever listens is told so."""
        gone, self._all = list(self._all.values()), {}
        if gone:
            self._call.taps.remove(self)
        for one in gone:
            self._gone(one, 0)  # a replay has nobody who is slow
            one.end("call_ended")

    def _gone(self, one: Listener, dropped: int) -> None:
        seconds = round(self._loop.time() - one.began, 3)
        self._call.journal.write(
            "operator.listen_ended",
            operator=one.name,
            listener=one.id,
            seconds=seconds,
            **({"dropped": dropped} if dropped else {}),
        )

    def changed(self) -> None:
        """What listeners and the console are told has changed."""
        for one in self._all.values():
            one.tell()
        self._observer.call_changed(self._call)

    def state(self) -> dict[str, Any]:
        """Return what every listener is told beside the sound."""
        return {
            "call_id": self._call.id,
            "rate": RATE,
            "muted": self._muted,
            "listeners": list(self.names),
            "taken_over_by": self._call.take_over.operator,
        }

    def voice(self, listener: Listener, frame: bytes) -> None:
        """A listener's microphone."""
        self._call.take_over.voice(listener, frame)

    # ── LegTap ──────────────────────────────────────────────────────────────────────────────────
    def caller_audio(self, audio: bytes) -> None:
        deaf = self._mute()
        self._give(CALLER, audio, deaf or self._call.holding.deaf)

    def agent_audio(self, audio: bytes) -> None:
        self._give(AGENT, audio, self._mute())

    def _mute(self) -> bool:
        deaf = self._call.secrecy.deaf and not self._call.take_over.on
        if deaf != self._muted:
            self._muted = deaf
            for one in self._all.values():
                one.tell()
        return deaf

    def _give(self, track: int, audio: bytes, muted: bool) -> None:
        law = "alaw" if self._call.leg.audio_format == "audio/pcma" else "ulaw"
        for frame in self._tracks[track].frames(audio, law, self._loop.time(), muted=muted):
            for one in self._all.values():
                one.put(frame)


class Hearing:
    """What waits for one who listens: the newest frames, and the state when it has changed.

    A whole :class:`voiceagent.console.ports_listen.Listener` says besides who it is and where it leaves.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self.ended = ""
        self._frames: deque[bytes] = deque(maxlen=QUEUE)
        self._wake = asyncio.Event()

    def put(self, frame: bytes) -> None:
        """Queue a frame; never waits."""
        if len(self._frames) == QUEUE:
            self.dropped += 1
        self._frames.append(frame)
        self._wake.set()

    def end(self, reason: str) -> None:
        """There is nothing more to hear."""
        self.ended = self.ended or reason
        self._wake.set()

    async def next(self) -> bytes | Mapping[str, Any] | None:
        """Return the next frame, or the state when it has changed; None at the end."""
        while True:
            if self.ended:
                return None
            state = self._take_state()
            if state is not None:
                return state
            if self._frames:
                return self._frames.popleft()
            self._wake.clear()
            await self._wake.wait()

    def _take_state(self) -> Mapping[str, Any] | None:
        """Return the state that is still to be told, once."""
        raise NotImplementedError


class Listener(Hearing):
    """One who listens. Fulfils :class:`voiceagent.console.ports_listen.Listener`."""

    def __init__(self, house: Listening, listener_id: str, name: str, since: float, began: float) -> None:
        super().__init__()
        self.id = listener_id
        self.name = name
        self.since = since
        """Unix time."""
        self.began = began
        """The same on the loop's clock."""
        self._house = house
        self._news = True

    def tell(self) -> None:
        """Have the state told, once, however often it changes until then."""
        self._news = True
        self._wake.set()

    def _take_state(self) -> Mapping[str, Any] | None:
        if not self._news:
            return None
        self._news = False
        own = {"you": self.id, "name": self.name, "dropped": self.dropped}
        return {**self._house.state(), **own}

    def voice(self, frame: bytes) -> None:
        """20 ms of µ-law from this one's microphone: heard by the caller while this one has the call."""
        self._house.voice(self, frame)

    def leave(self) -> None:
        """Listen no more."""
        self._house.leave(self.id, self.dropped)
        self.end("left")
