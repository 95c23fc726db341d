"""What the scripts say, in types. Who is alive, who has which call, and what this run of this node writes."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, cast

from voiceagent.cluster import scripts
from voiceagent.cluster.outbox import Batch
from voiceagent.cluster.ports import CallEntry, NodeFacts, NodeView
from voiceagent.cluster.redis_line import RedisLine, pairs, rows, text


@dataclass(frozen=True, slots=True)
class Registered:
    """We have the place. ``buried``: we were taken for dead before, with these calls."""

    at_s: float
    buried: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class NameTaken:
    """Another run of this name has a lease. ``beat`` changes when it beats."""

    beat: tuple[str, float]
    silent_s: float
    left_s: float
    """Until its lease ends."""


@dataclass(frozen=True, slots=True)
class Grave:
    """A node that vanished, with the calls that it had."""

    member: str
    at: int
    """When it was buried, ms: it may rise and fall again."""
    node: NodeView
    calls: tuple[CallEntry, ...]


@dataclass(frozen=True, slots=True)
class Beaten:
    """The answer to a beat, at ``at_s`` on Redis' clock. ``gone``: the registry does not know us (now)."""

    at_s: float
    gone: bool = False
    late: bool = False
    """Our own lease was over already, though nobody had noticed."""
    living: Mapping[str, str] = field(default_factory=dict[str, str])
    """Name → epoch."""
    graves: Sequence[Grave] = ()
    """That we are to tell of."""


class Registry:
    """One run of one node asks and writes. Everything raises LineDown."""

    def __init__(self, line: RedisLine, prefix: str, name: str, epoch: str) -> None:
        self._line = line
        self._prefix = prefix
        self._me = f"{name}/{epoch}"

    def key(self, name: str) -> str:
        """Return a key of the fleet."""
        return f"{self._prefix}:{name}"

    async def register(self, facts: NodeFacts, lease_s: float) -> Registered | NameTaken:
        """Take the place, if nobody of this name lives."""
        got = rows(await self._run(scripts.REGISTER, _facts_out(facts), _ms(lease_s)))
        now = int(got[1]) / 1000
        if text(got[0]) == "ok":
            return Registered(now, _buried_with(got[2] if len(got) > 2 else None))
        end = float(text(got[3])) / 1000
        view = _view(text(got[2]), text(got[4]))
        return NameTaken((text(got[2]), end), max(0.0, now - view.seen_at), max(0.0, end - now))

    async def beat(self, facts: NodeFacts, lease_s: float, *, bury: bool) -> Beaten:
        """Keep the place; with ``bury`` take those away whose lease is over."""
        got = rows(await self._run(scripts.BEAT, _facts_out(facts), _ms(lease_s), int(bury)))
        now = int(got[1]) / 1000
        if text(got[0]) == "gone":
            return Beaten(now, gone=True)
        living = dict(_split(text(member)) for member in rows(got[3]))
        graves = [_grave(text(member), text(grave)) for member, grave in pairs(got[4])]
        return Beaten(now, late=bool(got[2]), living=living, graves=graves)

    async def told(self, graves: Sequence[str]) -> None:
        """The losses of these were told; nobody need tell them again."""
        await self._run(scripts.TOLD, *graves)

    async def write(self, batch: Batch) -> bool:
        """Write calls and events; False: the registry does not know us, nothing was written."""
        return text(await self._run(scripts.WRITE, *batch.words())) == "ok"

    async def forget(self, calls: Collection[str]) -> int:
        """Remove the events of these calls; return how many."""
        if not calls:
            return 0
        removed, after = 0, "-"
        while after:
            async with self._line.queue():
                got = rows(await self._run(scripts.FORGET, after, *calls))
            removed, after = removed + int(got[0]), text(got[1])
        return removed

    async def leave(self) -> None:
        """Give the place back."""
        await self._run(scripts.LEAVE)

    async def nodes(self) -> list[NodeView]:
        """Return who lives."""
        async with self._line.queue():
            found = pairs(await self._run(scripts.NODES))
        return [_view(text(member), text(facts)) for member, facts in found]

    async def absent(self) -> dict[str, float]:
        """Return who lived within a day, by name, and when they were last heard of."""
        async with self._line.queue():
            found = pairs(await self._run(scripts.ABSENT))
        return {text(name): float(text(ms)) / 1000 for name, ms in found}

    async def calls(self) -> list[CallEntry]:
        """Return the live calls of the others."""
        async with self._line.queue():
            found = pairs(await self._run(scripts.CALLS))
        return [
            _entry(text(member), text(call), text(data))
            for member, calls in found
            for call, data in pairs(calls)
        ]

    async def owner(self, call_id: str) -> CallEntry | None:
        """Return who has a call."""
        async with self._line.queue():
            got = rows(await self._run(scripts.OWNER, call_id))
        return _entry(text(got[0]), call_id, text(got[1])) if got else None

    async def claim(self, key: str, for_s: float) -> bool:
        """Be the first to ask."""
        async with self._line.queue():
            asked = await self._line.ask("SET", self.key(f"claim:{key}"), self._me, "NX", "PX", _ms(for_s))
        return asked is not None

    async def holder(self, key: str) -> tuple[str, str] | None:
        """Return who was."""
        async with self._line.queue():
            found = await self._line.ask("GET", self.key(f"claim:{key}"))
        return None if found is None else _split(text(found))

    async def release(self, key: str) -> None:
        """Let another one be the first, if it was us."""
        async with self._line.queue():
            await self._run(scripts.RELEASE, key)

    async def publish(self, channel: str, message: str) -> int:
        """Send to a channel; return how many took it."""
        async with self._line.queue():
            return int(await self._line.ask("PUBLISH", self.key(channel), message))

    async def _run(self, script: str, *words: str | int) -> Any:
        return await self._line.run(script, self._prefix, self._me, *words)


def _buried_with(told: Any) -> tuple[str, ...] | None:
    """An empty list is an object in Lua's JSON; an older version told no more than that."""
    if told is None:
        return None
    found: object = json.loads(text(told))
    return tuple(str(one) for one in cast("list[object]", found)) if isinstance(found, list) else ()


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _split(member: str) -> tuple[str, str]:
    name, _, epoch = member.rpartition("/")
    return name, epoch


def _facts_out(facts: NodeFacts) -> str:
    return json.dumps({part.name: getattr(facts, part.name) for part in fields(facts)})


def _view(member: str, told: str) -> NodeView:
    """Read a node's facts; what another version tells that we do not know is left out."""
    name, epoch = _split(member)
    seen, _, facts = told.partition(" ")
    known = {part.name for part in fields(NodeFacts)}
    found = {key: value for key, value in _object(facts).items() if key in known}
    return NodeView(
        name=name, epoch=epoch, facts=NodeFacts(**found), seen_at=int(seen) / 1000 if seen.isdigit() else 0.0
    )


def _entry(member: str, call_id: str, data: str) -> CallEntry:
    name, epoch = _split(member)
    return CallEntry(call_id=call_id, node=name, epoch=epoch, data=_object(data))


def _grave(member: str, told: str) -> Grave:
    found = _object(told)
    calls = tuple(_entry(member, str(call), str(data)) for call, data in pairs(found.get("calls")))
    return Grave(member, int(found.get("at", 0)), _view(member, str(found.get("facts", ""))), calls)


def _object(told: str) -> dict[str, Any]:
    try:
        found = json.loads(told or "{}")
    except ValueError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
