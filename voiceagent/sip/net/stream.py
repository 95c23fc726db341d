"""PURE. One stream connection: its frames, its keep-alive, and the times within which it must say something.

Fed with bytes and the time by the shell, which writes, closes, and hands messages on as told.
"""

from __future__ import annotations

from dataclasses import dataclass

from voiceagent.sip.limits import DEFAULT, Limits, StreamLimits
from voiceagent.sip.net.framing import Broken, Ping, Pong, StreamFramer, Whole

PING = b"\r\n\r\n"
PONG = b"\r\n"
_LATE_S = 1.0
"""A deadline seen this much too late says that we were stopped or too busy, not that the peer is slow."""


@dataclass(frozen=True, slots=True)
class Write:
    """Order: send these bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """Order: close the connection; ``why`` is a stable code for the counter."""

    why: str


StreamEffect = Whole | Broken | Write | Close


class Stream:
    """``accepted``: the peer has connected to us, so it must speak first, and in time.

    ``spread`` (0.8–1.0) is the share of the ping interval that this connection takes, so that many opened at
    once do not ping at once (RFC 5626 §4.4.1).
    """

    __slots__ = (
        "_began",
        "_first_due",
        "_framer",
        "_heard",
        "_limits",
        "_ping_due",
        "_ping_every",
        "_pong_due",
        "_pongs",
        "_spoken",
    )

    def __init__(
        self,
        limits: StreamLimits,
        now: float,
        *,
        accepted: bool,
        sizes: Limits = DEFAULT,
        spread: float = 1.0,
    ) -> None:
        self._limits = limits
        self._framer = StreamFramer(sizes)
        self._began: float | None = None
        """When the first byte of the message came that is not complete yet."""
        self._first_due = now + limits.first_message_s if accepted else None
        self._spoken = now
        """When the last message came or went."""
        self._heard = now
        self._ping_every = 0.0 if accepted else limits.ping_s * spread
        self._ping_due = now + self._ping_every if self._ping_every else None
        self._pong_due: float | None = None
        self._pongs = False
        """The peer has answered a ping: it knows how, so silence means that it is gone."""

    def receive(self, data: bytes, now: float) -> list[StreamEffect]:
        """Take bytes; return messages and what to answer by itself, in order. Broken is the last of all."""
        effects: list[StreamEffect] = []
        framer = self._framer
        self._heard = now
        self._pong_due = None
        whole = False
        for frame in framer.feed(data):
            if isinstance(frame, Whole):
                whole = True
                effects.append(frame)
            elif isinstance(frame, Ping):
                effects.append(Write(PONG))
            elif isinstance(frame, Pong):
                self._pongs = True
            else:
                effects.append(frame)
        if whole:
            self._first_due = None
            self._spoken = now
            self._began = None
        if not framer.within:
            self._began = None
        elif self._began is None:
            self._began = now
        return effects

    def sent(self, now: float) -> None:
        """A message of ours went out here."""
        self._spoken = now

    def stay(self, now: float) -> None:
        """Idle, but needed: count the idle time anew."""
        self._spoken = now

    def unread(self, now: float) -> None:
        """What the peer sent was left unread for a while: the times that it has begin anew."""
        if self._first_due is not None:
            self._first_due = now + self._limits.first_message_s
        if self._began is not None:
            self._began = now
        if self._pong_due is not None:
            self._pong_due = now + self._limits.pong_s

    def wake_at(self) -> float | None:
        """Return the next deadline."""
        due = [when for when, _ in self._deadlines()]
        if self._ping_due is not None and self._pong_due is None:
            due.append(max(self._ping_due, self._heard + self._ping_every))
        return min(due, default=None)

    def wake(self, now: float) -> list[StreamEffect]:
        """Close what is late, ping what was silent for long; calling early is harmless."""
        for when, why in self._deadlines():
            if when <= now:
                if now - when > _LATE_S and why != "idle":
                    self.unread(now)
                    return []
                return [Close(why)]
        if self._ping_due is None or self._pong_due is not None:
            return []
        if max(self._ping_due, self._heard + self._ping_every) > now:
            return []
        self._ping_due = now + self._ping_every
        self._framer.expects_pong = True
        if self._pongs:
            self._pong_due = now + self._limits.pong_s
        return [Write(PING)]

    def _deadlines(self) -> list[tuple[float, str]]:
        limits = self._limits
        due: list[tuple[float, str]] = []
        if self._first_due is not None:
            due.append((self._first_due, "no_message"))
        if self._began is not None:
            due.append((self._began + limits.message_s, "slow_message"))
        if self._pong_due is not None:
            due.append((self._pong_due, "no_pong"))
        if limits.idle_s:
            due.append((self._spoken + limits.idle_s, "idle"))
        return due
