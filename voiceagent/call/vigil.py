"""PURE. Does the caller wait in silence, and does the provider still live? Says what to do about it.

Silence counts only while it is our turn: something was asked of the provider (or a tool is at work), the
caller does not speak, the call is not on hold, and nothing is heard. Then a short line bridges it, a longer
one asks for patience, and at last the session is given up. A voice that runs dry in mid-response, a socket
without any event, and audio that is silence are given up sooner.

``handle(event, now)`` and ``wake(now)`` return orders; ``wake_at()`` says when to wake, and need not be asked
again before ``nearer`` is set: waking too early does no harm. Times are seconds of one monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from voiceagent.call.vigil_config import VigilConfig


# ── events ──────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Asked:
    """A create for a request that the caller waits for was sent."""

    request_id: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The request is audible, or has ended; the caller waits for it no more."""

    request_id: str


@dataclass(frozen=True, slots=True)
class ToldToWait:
    """The provider said that it will take a while (rate limit): the caller is told at once."""


@dataclass(frozen=True, slots=True)
class Begun:
    """The provider began a response of the conversation."""

    response_id: str


@dataclass(frozen=True, slots=True)
class Finished:
    """A response has ended at the provider."""

    response_id: str


@dataclass(frozen=True, slots=True)
class Alive:
    """Anything came from the provider."""


@dataclass(frozen=True, slots=True)
class Audio:
    """``ms`` of agent audio was queued for the caller; ``quiet_ms`` of it, at its end, is silence."""

    response_id: str
    ms: float
    quiet_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class ItemOpen:
    """The line is in the middle of an item of the agent's (``on``), or has played or dropped it."""

    on: bool


@dataclass(frozen=True, slots=True)
class LinePlayed:
    """A line of our own was queued; it lasts ``seconds``."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Flushed:
    """Whatever was queued was dropped."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller speaks, or has stopped."""

    speaking: bool


@dataclass(frozen=True, slots=True)
class Hold:
    """The call is on hold, or back."""

    on: bool


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool function is at work (``on``), or has returned."""

    on: bool


@dataclass(frozen=True, slots=True)
class LinkLost:
    """The session is gone; whoever restores it cares for the caller until :class:`NewSession`."""


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session is attached: whatever was wrong with the one before is history."""


Event = (
    Asked
    | Answered
    | ToldToWait
    | Begun
    | Finished
    | Alive
    | Audio
    | ItemOpen
    | LinePlayed
    | Flushed
    | Caller
    | Hold
    | Tool
    | LinkLost
    | NewSession
)


# ── orders ──────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class PlayLine:
    """Play a line of our own; answered with :class:`LinePlayed`."""

    name: Literal["moment", "patience"]


@dataclass(frozen=True, slots=True)
class StopLine:
    """Silence the line of our own at once; needs no answer."""


@dataclass(frozen=True, slots=True)
class Recover:
    """Give the session up; ``reason`` is a code of the fault table.

    ``final``: new sessions have been no better, so no other one is to be tried.
    """

    reason: str
    final: bool = False
    details: dict[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True)
class Notice:
    """Worth a line in the journal and a count."""

    code: str
    details: dict[str, float] = field(default_factory=dict[str, float])


SESSIONS_IN_VAIN = 2
"""So many sessions in a row may be given up with nothing heard between them; the next one is the last."""

Order = PlayLine | StopLine | Recover | Notice

_PUT_OFF = frozenset({Alive, Answered, Audio, Finished})
"""Events that by themselves only put off what is due: most events by far."""


class Vigil:
    """The watch over one call, from its answer to its end."""

    __slots__ = (
        "_alive_at",
        "_asked",
        "_caller",
        "_given_up",
        "_held_at",
        "_item_open",
        "_line_until",
        "_lines",
        "_loud",
        "_quiet_ms",
        "_responses",
        "_suspected",
        "_told",
        "_tools",
        "_turn_since",
        "_vain",
        "_voice_until",
        "config",
        "nearer",
    )

    def __init__(self, config: VigilConfig | None = None) -> None:
        self.config = config or VigilConfig()
        self._asked: dict[str, float] = {}
        self._responses: dict[str, float] = {}
        self._tools: list[float] = []
        self._alive_at = 0.0
        self._turn_since = 0.0
        self._voice_until = 0.0
        """When the agent's queued audio will have been heard."""
        self._line_until = 0.0
        self._item_open = False
        self._caller = False
        self._held_at: float | None = None
        self._lines = 0
        self._told = False
        self._suspected = False
        self._given_up = False
        self._quiet_ms = 0.0
        self._vain = 0
        """Sessions given up since something was heard."""
        self._loud: str | None = None
        """The last response that was louder than silence."""
        self.nearer = False
        """Something has come since :meth:`wake_at` was asked that may make it earlier."""

    # ── what is known ───────────────────────────────────────────────────────────────────────────
    @property
    def waiting(self) -> bool:
        """True while something is due from our side: a response, or a tool's result."""
        return bool(self._asked or self._responses or self._tools)

    def line_playing(self, now: float) -> bool:
        """Return whether a line of our own is being heard, or will be when a hold is over."""
        return self._line_time(now) < self._line_until

    def _line_time(self, now: float) -> float:
        """Return the moment at which the line stands: a held one plays nothing and loses nothing."""
        return now if self._held_at is None else self._held_at

    def _since(self) -> float | None:
        """Return since when the caller waits in silence, or will; None when nothing is due."""
        if self._given_up or self._caller or self._held_at is not None or not self.waiting:
            return None
        due = [*self._asked.values(), *self._responses.values(), *self._tools]
        return max(min(due), self._turn_since, self._voice_until)

    def _deadlines(self) -> list[tuple[float, str]]:
        """Return what is due when, unordered."""
        since = self._since()
        if since is None:
            return []
        cfg, due = self.config, list[tuple[float, str]]()
        if not self._item_open:
            free = max(since, self._line_until)
            if self._lines == 0 and (self._told or cfg.filler_s):
                due.append((free if self._told else max(free, since + cfg.filler_s), "moment"))
            elif self._lines <= 1 and cfg.patience_s:
                due.append((max(free, since + cfg.patience_s), "patience"))
        elif cfg.dry_s:
            due.append((since + cfg.dry_s, "stalled"))
        if self._asked or self._responses:
            # A tool that has been at work for long is no fault of the provider's.
            owed = min([*self._asked.values(), *self._responses.values()])
            quiet = max(self._alive_at, owed)
            if cfg.give_up_s:
                due.append((max(owed, self._turn_since, self._voice_until) + cfg.give_up_s, "slow"))
            # Audio that is still being heard needs no events; the grace lets its last frame be reported.
            heard = self._voice_until + min(1.0, cfg.dead_s)
            if cfg.suspect_s and not self._suspected:
                due.append((max(quiet + cfg.suspect_s, self._voice_until), "suspect"))
            if cfg.dead_s:
                due.append((max(quiet + cfg.dead_s, heard), "frozen"))
        return due

    def _quiet_since(self) -> float:
        """Return since when the provider owes us an event."""
        return max(self._alive_at, min([*self._asked.values(), *self._responses.values()], default=0.0))

    def wake_at(self) -> float | None:
        """Return when to call :meth:`wake`, or None."""
        self.nearer = False
        return min((at for at, _ in self._deadlines()), default=None)

    # ── time ────────────────────────────────────────────────────────────────────────────────────
    def wake(self, now: float) -> list[Order]:
        """Do what is due; ask for :meth:`wake_at` afterwards."""
        orders: list[Order] = []
        due = sorted(one for one in self._deadlines() if one[0] <= now)
        since = self._since()
        for _, what in due:
            silent = {"silent_s": round(now - (since or now), 3)}
            match what:
                case "moment":
                    self._lines, self._told = 1, False
                    orders.append(PlayLine("moment"))
                case "patience":
                    self._lines = 2
                    orders.append(PlayLine("patience"))
                case "suspect":
                    self._suspected = True
                    orders.append(
                        Notice("provider_suspect", {"quiet_s": round(now - self._quiet_since(), 3)})
                    )
                case "slow" if self._suspected:
                    return [*orders, *self._give_up("frozen", silent)]
                case _:
                    return [*orders, *self._give_up(what, silent)]
        return orders

    def _give_up(self, reason: str, details: dict[str, float]) -> list[Order]:
        self._given_up = True
        self._vain = (self._vain + 1) % (SESSIONS_IN_VAIN + 1)
        return [Recover(reason, self._vain == 0, details)]

    # ── events ──────────────────────────────────────────────────────────────────────────────────
    def handle(self, event: Event, now: float) -> list[Order]:
        """Take one event."""
        orders: list[Order] = []
        match event:
            case Alive():
                self.alive(now)
            case Audio():
                orders = self.audio(event.response_id, event.ms, event.quiet_ms, now)
            case Asked():
                self._asked.setdefault(event.request_id, now)
            case Answered():
                self._asked.pop(event.request_id, None)
            case ToldToWait():
                self._told = self._lines == 0
            case Begun():
                self._responses[event.response_id] = now
            case Finished():
                self._responses.pop(event.response_id, None)
            case ItemOpen():
                self._item_open = event.on
                if not event.on:
                    self._turn_since = max(self._turn_since, now)
            case LinePlayed():
                self._line_until = now + event.seconds
            case Flushed():
                self._voice_until = min(self._voice_until, now)
                self._line_until = min(self._line_until, self._line_time(now))
            case Caller():
                self.alive(now)  # it is the provider that hears the caller
                if event.speaking and self.line_playing(now):
                    orders.append(StopLine())
                    self._line_until = self._line_time(now)
                if self._caller and not event.speaking:
                    self._turn_since = now
                self._caller = event.speaking
            case Hold():
                self._hold(event.on, now)
            case Tool():
                if event.on:
                    self._tools.append(now)
                elif self._tools:
                    self._tools.pop(0)
            case LinkLost():
                self._given_up = True
                self._responses.clear()
            case NewSession():
                self._begin_anew(now)
        if not self.waiting:
            self._lines, self._told = 0, False
        elif type(event) not in _PUT_OFF and not self._caller and self._held_at is None:
            self.nearer = True
        return orders

    def alive(self, now: float) -> None:
        """Take :class:`Alive`, which gives no orders and is the most frequent event but one."""
        self._alive_at = now
        if self._suspected:
            self._suspected = False
            self.nearer = True

    def audio(self, response_id: str, ms: float, quiet_ms: float, now: float) -> list[Order]:
        """Take what :class:`Audio` tells: the most frequent event of all."""
        self.alive(now)
        orders: list[Order] = []
        if self._lines or self._told or self._line_until:
            self._lines, self._told = 0, False
            self.nearer = True
            if self.line_playing(now):
                orders.append(StopLine())
            self._line_until = 0.0
        self._voice_until = max(self._voice_until, now) + ms / 1000
        if quiet_ms < ms:
            self._loud = response_id
            self._vain = 0
            self._quiet_ms = 0.0
        self._quiet_ms += quiet_ms
        if self._quiet_ms:
            cfg = self.config
            limit = cfg.pause_s if self._loud == response_id else cfg.quiet_audio_s
            if cfg.quiet_audio_s and self._quiet_ms > 1000 * limit and not self._given_up:
                orders.extend(self._give_up("silent_audio", {"quiet_s": round(self._quiet_ms / 1000, 3)}))
        return orders

    def _hold(self, on: bool, now: float) -> None:
        if on and self._held_at is None:
            self._held_at = now
        elif not on and self._held_at is not None:
            if self._voice_until > self._held_at:
                self._voice_until += now - self._held_at
            if self._line_until > self._held_at:
                self._line_until += now - self._held_at
            self._held_at = None
            self._turn_since = now
            self._alive_at = max(self._alive_at, now)

    def _begin_anew(self, now: float) -> None:
        # Requests that still wait are asked again, or told as ended: both are news of their own.
        self._asked = dict.fromkeys(self._asked, now)
        self._responses.clear()
        self._given_up = self._suspected = False
        self._lines = min(self._lines, 1)  # the moment was promised; patience may be asked for again
        self._alive_at = self._turn_since = now
        self._quiet_ms = 0.0
        self._loud = None
