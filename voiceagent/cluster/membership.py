"""One node's place in the registry: taken, kept by beats, and taken again when it was lost.

No tasks here: who owns this calls :meth:`Membership.beat` when it is due, and :meth:`Membership.write`.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from typing import ParamSpec, Protocol

from voiceagent.cluster.beats import Beats, FleetClock
from voiceagent.cluster.outbox import Outbox
from voiceagent.cluster.ports import CallEntry, NodeFacts, NodeView
from voiceagent.cluster.redis_line import LineDown
from voiceagent.cluster.registry import Beaten, NameTaken, Registry
from voiceagent.errors import ConfigError

_log = logging.getLogger("voiceagent.cluster")
P = ParamSpec("P")

LOOKS_PER_LEASE = 8
"""How often a node looks whether the one that has its name still beats."""


class Told(Protocol):
    """Who is told of the fleet; see ``Cluster``."""

    lost: Callable[[NodeView, Sequence[CallEntry]], None]
    outlived: Callable[[Sequence[str]], None]
    stood: Callable[[bool, int], None]


class Membership:
    """``local`` is a monotonic clock; ``doubt`` is called when the registry may have lost its memory."""

    def __init__(
        self,
        registry: Registry,
        told: Told,
        *,
        name: str,
        lease_s: float,
        local: Callable[[], float],
        doubt: Callable[[], None] = lambda: None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.facts: Callable[[], NodeFacts] = NodeFacts
        self.outbox = Outbox()
        self.clock = FleetClock(local, step_s=0.001)
        self.epochs: Mapping[str, str] = {}
        """Of the nodes that lived at the newest beat."""
        self.up = asyncio.Event()
        """Set while the registry is known to answer."""
        self.work = asyncio.Event()
        """Set when there is something to write."""
        self._registry = registry
        self._told = told
        self._name = name
        self._lease_s = lease_s
        self._local = local
        self._doubt = doubt
        self._beats = Beats(lease_s, chance)
        self._hurry = asyncio.Event()
        self._last_facts = NodeFacts()
        self._mourned: set[tuple[str, int]] = set()
        self._unsure = False
        """We have asked for our place again, and were not answered: it may be ours."""

    @property
    def away(self) -> str:
        """Why the registry is away, empty while it answers."""
        return self._beats.why

    # ── the place ───────────────────────────────────────────────────────────────────────────────
    async def register(self) -> None:
        """Take the place. Raises LineDown, and ConfigError when a node of this name beats.

        A silent one may have been killed a moment ago: wait until its lease is over.
        """
        first: NameTaken | None = None
        while True:
            sent = self._local()
            got = await self._registry.register(self.facts_now(), self._lease_s)
            if not isinstance(got, NameTaken):
                self.clock.learned(got.at_s, sent, self._local())
                return
            if first is not None and got.beat != first.beat:
                raise ConfigError(
                    "cluster.node",
                    f"a living node is called {self._name!r}, last heard of {got.silent_s:.1f} s ago; each "
                    "needs a name of its own",
                )
            first = first or got
            await asyncio.sleep(min(self._lease_s / LOOKS_PER_LEASE, got.left_s) + 0.001)

    async def due(self) -> None:
        """Wait until the next beat is due, or somebody hurries."""
        try:
            async with asyncio.timeout(self._beats.wait(self._local())):
                await self._hurry.wait()
        except TimeoutError:
            pass
        self._hurry.clear()

    async def beat(self) -> None:
        """Beat once, and see to what the registry says. Raises nothing."""
        sent = self._local()
        try:
            if self._unsure:
                await self._register_again()
            facts, bury = self.facts_now(), self._beats.may_bury(sent)
            got = await self._registry.beat(facts, self._lease_s, bury=bury)
            if got.gone:
                await self._register_again()
        except LineDown as down:
            self._is_away(str(down))
            return
        except Exception as error:  # an answer that is none of ours
            _log.exception("a beat failed")
            self._is_away(f"{type(error).__name__}: {error}")
            return
        received = self._local()
        self.clock.learned(got.at_s, sent, received)
        if self._beats.why:
            _log.warning("the registry is back")
        self._beats.succeeded(received, late=got.late or got.gone)
        self.up.set()
        if not got.gone:
            self.epochs = got.living
        self._guarded(self._told.stood, True, max(1, len(self.epochs)))
        if got.graves and self._beats.trusts(sent, received):
            await self._mourn(got)

    def look_now(self) -> None:
        """Somebody met with trouble: let a beat judge at once."""
        self.up.clear()
        self.beat_now()

    def beat_now(self) -> None:
        """Let the next beat be due; while the registry is away its tries keep their pace."""
        if not self.away:
            self._beats.hurry(self._local())
            self._hurry.set()

    def suspect(self, why: str) -> None:
        """The registry did not answer somebody: it is away, unless a beat shows at once that it is not."""
        if not self.away:
            self._is_away(why)
            self._hurry.set()

    def _is_away(self, why: str) -> None:
        if not self._beats.why:
            _log.warning("the registry is away: %s", why)
        self._beats.failed(self._local(), why)
        self.up.clear()
        self._guarded(self._told.stood, False, 1)

    async def _register_again(self) -> None:
        self._unsure = True
        got = await self._registry.register(self.facts_now(), self._lease_s)
        self._unsure = False
        if isinstance(got, NameTaken):
            raise LineDown(f"another node has taken the name {self._name!r}", sent=True)
        self.outbox.all_again()
        self._doubt()
        self.work.set()
        if got.buried is not None:
            _log.warning("this node was taken for dead, with %d calls; it is not", len(got.buried))
            self._guarded(self._told.outlived, got.buried)

    async def _mourn(self, got: Beaten) -> None:
        for grave in got.graves:
            if (grave.member, grave.at) not in self._mourned:
                self._mourned.add((grave.member, grave.at))
                _log.warning("node %s has vanished, with %d calls", grave.node.name, len(grave.calls))
                self._guarded(self._told.lost, grave.node, grave.calls)
        try:
            await self._registry.told([grave.member for grave in got.graves])
        except LineDown:
            return  # the next beat brings them again; they are remembered
        self._mourned.clear()

    def facts_now(self) -> NodeFacts:
        """Ask for this node's facts."""
        try:
            self._last_facts = self.facts()
        except Exception:
            _log.exception("this node's facts could not be had; the last ones stand")
        return self._last_facts

    def _guarded(self, tell: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            tell(*args, **kwargs)
        except Exception:
            _log.exception("who was told of the fleet failed")

    # ── what is written ─────────────────────────────────────────────────────────────────────────
    async def write(self) -> bool:
        """Write one batch; False: it was not written, and waits."""
        batch = self.outbox.batch()
        written = False
        try:
            written = await self._registry.write(batch)
        except LineDown:
            pass
        except Exception:  # it would fail for ever, and hold up all others
            _log.exception("%d events, %d calls cannot be written", len(batch.events), len(batch.changed))
            written = True
        finally:
            if not written:
                self.outbox.give_back(batch)
        return written

    async def leave(self) -> None:
        """Write what waits, give the place back. Raises LineDown."""
        while self.outbox and not self.away and await self.write():
            pass
        await self._registry.leave()
