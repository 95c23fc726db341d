"""PURE. What the sequencer remembers: requests on their way, responses alive, and the view of both."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from voiceagent.realtime.requests import BargePolicy, InterruptedBy, Origin, Progress, ResponseRequest

RANK: dict[Origin, int] = {origin: rank for rank, origin in enumerate(Origin)}
"""Priority classes; 0 is the most urgent."""
SAFETY = RANK[Origin.SAFETY]
OPERATOR = RANK[Origin.OPERATOR]
TURN = RANK[Origin.TURN]


class Link(StrEnum):
    """The connection to the provider."""

    ATTACHING = "attaching"
    UP = "up"
    DOWN = "down"
    CLOSED = "closed"


class Turn(IntEnum):
    """Where the caller's turn stands."""

    NONE = 0
    SPEAKING = 1
    STOPPED = 2
    """Silence again, but the provider has not committed the turn yet."""
    AWAITING_AUTO = 3
    """Committed; the provider is about to answer by itself."""


class Stage(IntEnum):
    """Where a request stands."""

    QUEUED = 0
    SENDING = 1
    LIVE = 2
    ENDED = 3


class Owner(StrEnum):
    """Who asked for a response."""

    OURS = "ours"
    VAD = "vad"
    FOREIGN = "foreign"
    UNSEEN = "unseen"
    """Known by its output only: ``response.created`` has not been seen. Never holds the slot."""


class Phase(IntEnum):
    """Where the generation of a response stands."""

    ACTIVE = 0
    EXPECTING = 1
    """The provider is about to cancel it by itself (caller speech, automatic interrupt)."""
    CANCELLING = 2
    """Our cancel is under way."""
    DONE = 3


class Entry:
    """One accepted request."""

    __slots__ = (
        "ack_at",
        "acked",
        "attempt",
        "deadline",
        "eid",
        "failures",
        "id",
        "mute",
        "needs",
        "needs_until",
        "not_before",
        "now",
        "number",
        "presumed",
        "progress",
        "protected",
        "rank",
        "refusals",
        "reply",
        "request",
        "satisfied_by",
        "seq",
        "spared",
        "stage",
        "stripped",
        "submitted_at",
        "withdrawn",
    )

    def __init__(self, request: ResponseRequest, seq: int, now: float) -> None:
        self.request = request
        self.id = request.id
        self.rank = RANK[request.origin]
        self.seq = seq
        """Place within its class; a requeue may move it back."""
        self.number = seq
        """How many requests were submitted before, for ever."""
        self.submitted_at = now
        self.deadline: float | None = None if request.deadline_s is None else now + request.deadline_s
        self.stage = Stage.QUEUED
        self.progress = Progress.QUEUED
        self.attempt = 0
        self.refusals = 0
        self.failures = 0
        self.not_before = 0.0
        self.ack_at = 0.0
        self.eid = ""
        self.needs: set[str] | None = set(request.needs) if request.needs else None
        self.needs_until = 0.0
        self.acked = not request.needs
        """At least one of the needed items was acknowledged (or none was needed)."""
        self.reply: Reply | None = None
        self.presumed = False
        """Back in the queue because of a refusal that named no frame: its create may yet succeed."""
        self.protected = not request.interruptible or self.rank == SAFETY
        """Caller speech neither stops nor drops it once it speaks."""
        self.spared = False
        """It was protected, the provider cut it unheard, and it had its one second chance."""
        self.stripped = False
        self.withdrawn = False
        self.satisfied_by: str | None = None
        self.now = False
        self.mute = request.out_of_band and list(request.extra.get("output_modalities") or ()) == ["text"]

    @property
    def droppable(self) -> bool:
        """True when caller speech ends it while it waits. Never safety or operator (I12)."""
        return self.request.barge_policy is BargePolicy.DROP and self.rank > OPERATOR

    @property
    def follow_up(self) -> bool:
        """True for a plain continuation after tool outputs: any reply that saw the outputs answers it."""
        request = self.request
        return request.follow_up_of is not None and request.instructions is None and not request.out_of_band


class Reply:
    """One response of the provider, from its first sign until nothing more of it will be heard."""

    __slots__ = (
        "asked",
        "audible",
        "audible_at",
        "audio_ms",
        "beats",
        "cancel_eid",
        "cleared",
        "code",
        "cut",
        "cut_by",
        "deadline",
        "ended",
        "entry",
        "heard_ms",
        "heard_text",
        "hint",
        "message",
        "not_active",
        "oob",
        "orphan",
        "out",
        "owner",
        "phase",
        "play_by",
        "provider_cut",
        "reason",
        "rid",
        "since",
        "stalled",
        "status",
        "stopping",
        "taken",
        "text",
        "unwanted",
    )

    def __init__(self, rid: str, owner: Owner, entry: Entry | None, oob: bool, now: float) -> None:
        self.rid = rid
        self.owner = owner
        self.entry = entry
        self.oob = oob
        self.since = now
        self.phase = Phase.ACTIVE
        self.deadline = 0.0
        """Next time at which the generation is looked at (stall, cancel unanswered); 0 for none."""
        self.play_by = 0.0
        """When the end of playback counts as missing; 0 for none."""
        self.beats = 0
        self.out = False
        """Audio has arrived (it may still wait in a playout)."""
        self.audible = False
        self.audible_at = 0.0
        self.ended = False
        """Nothing more of it will be heard."""
        self.cut = False
        self.cut_by: InterruptedBy | None = None
        self.stopping = False
        self.cleared = False
        self.unwanted = False
        self.orphan = False
        self.stalled = False
        self.not_active = False
        self.provider_cut = False
        self.asked = False
        """Somebody asked for silence: what was cut is not said again."""
        self.taken = False
        """It was cut for a human who speaks in its place: what was not heard is said later."""
        self.cancel_eid = ""
        self.status = ""
        self.reason: str | None = None
        self.code: str | None = None
        self.message = ""
        self.hint: float | None = None
        self.text = ""
        self.audio_ms: int | None = None
        self.heard_ms = 0
        self.heard_text = ""

    @property
    def sounding(self) -> bool:
        """True while some of it is being heard or waits to be."""
        return (self.out or self.audible) and not self.ended


class Waiter:
    """An interrupt whose asker waits for silence."""

    __slots__ = ("deadline", "eid", "rids", "stopped", "token")

    def __init__(self, token: str, deadline: float) -> None:
        self.token = token
        self.deadline = deadline
        self.rids: set[str] = set()
        self.eid: str | None = None
        self.stopped: str | None = None


# ── views ───────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class QueuedView:
    """One request that has not ended, as the console shows it."""

    request_id: str
    origin: str
    state: str
    """queued, sent, started, audible, generated."""
    why: str
    """Why it waits (a stable reason code), ``ready`` when nothing holds it, or empty once sent."""
    attempt: int
    waited_s: float
    response_id: str | None = None


@dataclass(frozen=True, slots=True)
class SlotView:
    """The one place for a response in the conversation."""

    state: str
    """free, sending, active, cancelling, unknown."""
    since: float = 0.0
    request_id: str | None = None
    response_id: str | None = None
    owner: str = ""


@dataclass(frozen=True, slots=True)
class SequencerView:
    """A frozen look at the whole machine."""

    link: str
    slot: SlotView
    turn: str
    """none, speaking, stopped, awaiting_auto."""
    playback: str
    """idle, playing, draining."""
    playing: tuple[str, ...]
    """Responses being heard or waiting to be, in order of their start."""
    requests: tuple[QueuedView, ...]
    """First what is under way, then what waits, in the order in which it would go now."""
    out_of_band: int
    auto_create: bool
    auto_interrupt: bool
    round_trip_s: float
    hold_s: float
    paused: bool = False
    taken_over: bool = False
