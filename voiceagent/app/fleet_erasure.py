"""The part of an erasure that other nodes of the fleet have: what lies in their folders, and all events.

Each node that lives is given the order and says what it has erased, or why not. The report of one is::

    {"node": "b", "result": "done", "why": "", "calls": ["call_1"], "journals": 1, "recordings": 2,
     "mentioned_in": [], "audit_line": 17, "sha256": "…"}

``result`` is done, incomplete (``why`` has the first thing that could not be removed), or the code of what
kept the node from it: call_live, database_down, not_supported (an older version), node_gone, command_late,
answer_lost, cluster_down. The last three and an unknown end mean: do it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

from voiceagent.app.erasure import Erasure
from voiceagent.cluster.ports import Cluster, ClusterDown, Command, NodeView
from voiceagent.cluster.refusals import done_of
from voiceagent.errors import VoiceAgentError
from voiceagent.ids import Tokens
from voiceagent.records.numbers import other_side, plain_number
from voiceagent.store.audit import Deed

WITHIN_S = 600.0
"""How long a node may take: it reads every journal."""
FORGET_WITHIN_S = 10.0
LOOK_S = 2.0
"""How often it is looked whether a node that is at it still lives."""
LOOKS = 3
"""A node that was not there so often has gone."""
EVERYBODY = "*"
"""Stands for the nodes that nobody can name while the registry is away."""

Report = dict[str, Any]


def reported(erasure: Erasure) -> Report:
    """PURE. Return what a node answers of its part."""
    failed = next((f"{one.call_id}: {one.failed}" for one in erasure.calls if one.failed), "")
    touched = [one for one in erasure.calls if one.journal_sha256 or one.recordings or one.failed]
    return {
        "result": "incomplete" if failed else "done",
        "why": failed,
        "calls": [one.call_id for one in touched],
        "journals": sum(bool(one.journal_sha256) for one in touched),
        "recordings": sum(len(one.recordings) for one in touched),
        "mentioned_in": list(erasure.mentioned_in),
        "audit_line": erasure.audit_line,
        "sha256": erasure.as_data()["sha256"],
    }


def not_done(code: str, why: str) -> Report:
    """PURE. Return the report of a node that has erased nothing, or does not say."""
    nothing: Report = {"calls": [], "journals": 0, "recordings": 0, "mentioned_in": []}
    return {"result": code, "why": why, **nothing, "audit_line": None, "sha256": ""}


def order_of(caller: str, calls: Collection[str], by: Deed, *, dry_run: bool) -> Command:
    """PURE. Return the order to erase; ``calls`` are those that are known already."""
    deed = {"role": by.role, "via": by.via, "peer": by.peer}
    args = {"caller": caller, "calls": sorted(calls), "dry_run": dry_run, "deed": deed}
    return Command(id="", op="erase", args=args, actor=by.actor, within_s=WITHIN_S)


def deed_of(order: Command) -> Deed:
    """PURE. Return who wants it: an admin who was let in where they asked."""
    told = cast("Mapping[str, Any]", order.args["deed"])
    return Deed(order.actor, str(told["role"]), str(told["via"]), "", peer=str(told["peer"]))


class FleetErasure:
    """Asks the others, for one node."""

    def __init__(self, cluster: Cluster, tokens: Tokens) -> None:
        self._cluster = cluster
        self._tokens = tokens

    async def on_the_line(self, number: str) -> Sequence[str]:
        """Return calls of a person (a plain number) that go on at other nodes, as far as is known."""
        try:
            entries = await self._cluster.calls()
        except ClusterDown:
            return ()
        return [one.call_id for one in entries if number == _person(one.data)]

    async def erase(
        self, caller: str, calls: Collection[str], by: Deed, *, dry_run: bool
    ) -> Sequence[Report]:
        """Have all others do their part at the same time; returns a report of each.

        Who has come meanwhile, and was down at first, is asked after them.
        """
        order = order_of(caller, calls, by, dry_run=dry_run)
        reports: list[Report] = []
        while True:
            absent = await self._absent()
            asked = {one["node"] for one in reports} | {self._cluster.name}
            others = [one for one in await self._cluster.nodes() if one.name not in asked]
            if not others:
                return [*reports, *(one for one in absent if one["node"] not in asked)]
            reports += await asyncio.gather(*(self._part(one, order) for one in others))

    async def _absent(self) -> Sequence[Report]:
        """Report those whom nobody can ask: what lies in their folders was not looked at."""
        try:
            absent = await self._cluster.absent()
        except ClusterDown:
            why = "the registry is away: which other nodes there are cannot be known"
            return [{"node": EVERYBODY, **not_done("cluster_down", why)}]
        return [
            {"node": name, **not_done("node_gone", f"it is down, last heard of at {_utc(seen_at)}")}
            for name, seen_at in sorted(absent.items())
        ]

    async def forget(self, calls: Collection[str], reports: Sequence[Report]) -> int | None:
        """Have the events of these calls removed from the registry and from all nodes' memory.

        Returns how many the registry had; None when it is away. A node that cannot be told stands as
        incomplete in ``reports`` then.
        """
        try:
            removed = await self._cluster.forget(calls)
        except ClusterDown:
            return None
        order = Command(id="", op="forget", args={"calls": sorted(calls)}, within_s=FORGET_WITHIN_S)
        told = [one for one in reports if one["result"] == "done"]
        answers = await asyncio.gather(*(self._give(one["node"], order) for one in told))
        for one, answer in zip(told, answers, strict=True):
            if isinstance(answer, VoiceAgentError):
                one["result"], one["why"] = "incomplete", f"its memory of events: {answer}"
        return removed

    async def _part(self, node: NodeView, order: Command) -> Report:
        work = asyncio.ensure_future(self._give(node.name, order))
        absent = 0
        try:
            while not work.done() and absent < LOOKS:
                await asyncio.wait({work}, timeout=LOOK_S)
                living = {one.epoch for one in await self._cluster.nodes()}
                gone = node.epoch not in living and not self._cluster.stale
                absent = absent + 1 if gone else 0
        finally:
            if not work.done():
                work.cancel()
        if not work.done() or work.cancelled():
            return {"node": node.name, **not_done("answer_lost", "it has gone while it was at it")}
        answer = work.result()
        if isinstance(answer, VoiceAgentError):
            return {"node": node.name, **not_done(answer.code, str(answer))}
        return {"node": node.name, **answer}

    async def _give(self, node: str, order: Command) -> Report | VoiceAgentError:
        try:
            answer = await self._cluster.command(node, replace(order, id=self._tokens()))
            return cast("Report", done_of(answer))
        except VoiceAgentError as error:
            return error


def _utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").removesuffix("+00:00") + "Z"


def _person(data: Mapping[str, Any]) -> str:
    direction, caller, called = (str(data.get(name, "")) for name in ("direction", "caller", "called"))
    return plain_number(other_side(direction, caller, called))
