"""What a node needs of its fleet. A call lives on one node and is never moved; the cluster only finds it.

``local`` is a fleet of one, without a network; ``redis`` keeps nodes, calls, commands and events in Redis (or
Valkey). The same contract test holds both. Nothing here ever makes a call wait: what is published is queued,
and while the cluster is away calls go on, and are published again afterwards.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from voiceagent.errors import Fault, VoiceAgentError


class ClusterDown(VoiceAgentError):
    """The registry cannot be asked now; what is on this node goes on."""

    fault = Fault.OURS
    code = "cluster_down"


class NodeGone(VoiceAgentError):
    """The node that had the call does not answer: nobody has taken the command."""

    fault = Fault.OURS
    code = "node_gone"


class CommandLate(VoiceAgentError):
    """The command was not taken by its deadline, and never will be."""

    fault = Fault.OURS
    code = "command_late"


class AnswerLost(VoiceAgentError):
    """The command was handed to its node, and no answer came: it may have been done, or not."""

    fault = Fault.OURS
    code = "answer_lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """What a node tells of itself with each beat."""

    state: str = "up"
    """up, draining."""
    calls: int = 0
    max_calls: int = 0
    console: str = ""
    """Base URL at which other nodes reach its console (listening)."""
    sip: str = ""
    """host:port of its first SIP listener."""
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """A node of the fleet."""

    name: str
    epoch: str
    """Names this run of the node; another start has another one."""
    facts: NodeFacts
    seen_at: float
    """Unix time of its newest beat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEntry:
    """A live call as its node published it; only the owner writes."""

    call_id: str
    node: str
    epoch: str
    data: Mapping[str, Any]
    """The call's brief view as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """An order to the node that has a call: taken at most once, always answered, never after its deadline."""

    id: str
    op: str
    """What is to be done: a name that sender and owner know."""
    call_id: str = ""
    args: Mapping[str, Any] = field(default_factory=dict[str, Any])
    actor: str = ""
    """On whose behalf."""
    idempotency_key: str | None = None
    within_s: float = 5.0
    """How long it is good for, from now."""


@dataclass(frozen=True, slots=True)
class FleetEvent:
    """An event of any node, own ones included, in the one order that all nodes see.

    ``cursor`` names its place in that order, on every node alike (``redis``: the id in the stream).
    """

    cursor: str
    node: str
    type: str
    call_id: str
    data: Mapping[str, Any]


GAP = "gap"
"""Type of the event that stands for those that are no longer kept. Its cursor is good to go on from."""

Handle = Callable[[Command], Awaitable[Mapping[str, Any]]]
"""Does a command and returns its answer as JSON; errors are put into the answer by who handles. If it raises
all the same, the sender gets AnswerLost: half of it may have been done."""


class Subscription(Protocol):
    """Events for one reader; it holds nothing that would have to be given back."""

    def __aiter__(self) -> Subscription: ...

    async def __anext__(self) -> FleetEvent:
        """Wait for the next one. Ends when the node leaves the fleet."""
        ...


class Cluster(Protocol):
    """One node's membership of its fleet."""

    name: str
    """Of this node."""
    epoch: str
    """Of this run of it."""
    shared: bool
    """False for ``local``: there is nobody else."""

    @property
    def stale(self) -> str:
        """Why what is known of the others may be old (``cluster_down: …``); empty while all is well."""
        ...

    async def join(self, facts: Callable[[], NodeFacts], handle: Handle) -> None:
        """Take a place; ``facts`` is asked with every beat. Raises ConfigError naming ``cluster.…``:
        the registry refuses, or a living node has this name.
        """
        ...

    def facts_changed(self) -> None:
        """Tell the facts at once, not only with the next beat; never waits."""
        ...

    async def leave(self) -> None:
        """Give the place back: no more beats, commands or events. Harmless when repeated."""
        ...

    # ── registry ────────────────────────────────────────────────────────────────────────────────
    def call_changed(self, call_id: str, data: Mapping[str, Any]) -> None:
        """Publish how a call of ours stands; never waits. The newest wins."""
        ...

    def call_ended(self, call_id: str) -> None:
        """Take a call of ours out of the registry; never waits."""
        ...

    async def calls(self) -> Sequence[CallEntry]:
        """Return the live calls of the other nodes. Raises ClusterDown."""
        ...

    async def owner(self, call_id: str) -> CallEntry | None:
        """Return who has a live call. Raises ClusterDown."""
        ...

    async def nodes(self) -> Sequence[NodeView]:
        """Return all nodes that live, this one first. While the registry is away: this one."""
        ...

    async def absent(self) -> Mapping[str, float]:
        """Return the nodes that were in the fleet within a day and are not now: name → Unix time of the last
        beat. Raises ClusterDown.
        """
        ...

    # ── commands ────────────────────────────────────────────────────────────────────────────────
    async def command(self, node: str, command: Command) -> Mapping[str, Any]:
        """Have ``node`` do it, return its answer. A command for this node itself needs no network.

        Raises ClusterDown and NodeGone (it was not taken), CommandLate (it was not, and will not be),
        AnswerLost (nobody knows). Waits a little longer than ``command.within_s``, never much.
        """
        ...

    # ── events ──────────────────────────────────────────────────────────────────────────────────
    def publish(self, kind: str, call_id: str, data: Mapping[str, Any]) -> None:
        """Tell all nodes; never waits. While the registry is away the newest are kept for a while."""
        ...

    def events(self, *, after: str | None = None) -> Subscription:
        """Return the events from now (this call) on; with ``after``, first all since that cursor.

        A node that has no reader follows nothing, and begins at once with the first; that one may be told
        events of some milliseconds before, by which this node's clock may differ from the registry's.
        When they are not kept any more, or the cursor is unknown, the first event has the type ``gap``: look
        afresh. The same comes to a reader who is too slow, and when the registry has lost its memory.
        """
        ...

    async def forget(self, calls: Collection[str]) -> int:
        """Take the events of these calls, which have ended, from what is kept for readers; return how many.

        Of this node's memory and of the registry; other nodes have memories of their own. A reader who left
        off at such an event gets a gap. Raises ClusterDown: what is in memory here is gone all the same.
        """
        ...

    # ── claims ──────────────────────────────────────────────────────────────────────────────────
    async def claim(self, key: str, for_s: float) -> bool:
        """Return True to exactly one asker of the fleet within ``for_s``. Raises ClusterDown."""
        ...

    async def holder(self, key: str) -> tuple[str, str] | None:
        """Return name and epoch of the node whose claim stands. Raises ClusterDown."""
        ...

    async def release(self, key: str) -> None:
        """Give a claim of ours back; one of another node stays. Raises ClusterDown."""
        ...

    # ── losses ──────────────────────────────────────────────────────────────────────────────────
    lost: Callable[[NodeView, Sequence[CallEntry]], None]
    """Called on exactly one surviving node when another one has vanished, with the calls it had."""
    outlived: Callable[[Sequence[str]], None]
    """Called when we were taken for vanished and are not, with the calls that were given up: each lives, or
    has ended since.
    """

    # ── figures ─────────────────────────────────────────────────────────────────────────────────
    stood: Callable[[bool, int], None]
    """Called with each beat: whether the registry answers, how many nodes live."""
    commanded: Callable[[str, str], None]
    """Called for each command that we sent: ``op``, and done, late, gone, down or lost."""
