"""Orders to the node that has a call: sent by whichever node the operator has asked, done by the owner.

The owner runs the very method that an order of its own console runs, so that idempotency keys, refusals and
the journal are the same wherever the order was given.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from voiceagent.app.directory import NodeDirectory
from voiceagent.app.fleet_wire import made
from voiceagent.cluster.ports import AnswerLost, Cluster, Command, CommandLate, NodeGone
from voiceagent.cluster.refusals import CARRIED, done_of, error_data
from voiceagent.console.ports import Act, Trigger
from voiceagent.console.views import call_data, call_detail, plain, response_data
from voiceagent.errors import RequestRefused
from voiceagent.ids import Tokens

KNOWN_MOST = 10_000
"""Calls whose node is remembered: an operator who repeats an order after the end must find it again."""


async def obey(local: NodeDirectory, command: Command) -> dict[str, Any]:
    """Do an order here. Returns ``{"done": …}``, or what was refused."""
    try:
        return {"done": await _done(local, command)}
    except CARRIED as error:
        return error_data(error)


async def _done(local: NodeDirectory, command: Command) -> Any:
    call_id, args, key, who = command.call_id, command.args, command.idempotency_key, command.actor
    match command.op:
        case "has":
            return local.has(call_id)
        case "dialled":
            try:
                placed = local.dialled_for(key or "")
            except KeyError as forgotten:  # but not that it was placed
                return {"forgotten": str(forgotten.args[0])}
            return False if placed is None else call_data(placed)
        case "call":
            return call_detail(local.call(call_id))
        case "timeline":
            return plain(await local.timeline(call_id))
        case "trigger":
            wish = made(Trigger, args)
            return response_data(local.trigger(call_id, wish, idempotency_key=key, operator=who))
        case "response":
            return response_data(local.response(call_id, str(args["response_id"])))
        case "withdraw":
            return response_data(local.withdraw(call_id, str(args["response_id"]), operator=who))
        case "hang_up":
            return call_detail(await local.hang_up(call_id, operator=who))
        case "act":
            return call_detail(await local.act(call_id, made(Act, args), idempotency_key=key, operator=who))
        case "tagged":
            return local.tagged(call_id, [str(tag) for tag in args["tags"]], operator=who)
        case _:
            words = f"{command.op} is not known to the node that has the call: it runs another version"
            raise RequestRefused("call", words, code="not_supported")


class Orders:
    """Sends orders to other nodes."""

    def __init__(self, cluster: Cluster, tokens: Tokens, *, within_s: float) -> None:
        self._cluster = cluster
        self._tokens = tokens
        self._within_s = within_s
        self._nodes: OrderedDict[str, str] = OrderedDict()

    def saw(self, call_id: str, node: str) -> None:
        """Remember which node has, or had, a call."""
        self._nodes[call_id] = node
        self._nodes.move_to_end(call_id)
        if len(self._nodes) > KNOWN_MOST:
            self._nodes.popitem(last=False)

    async def node_of(self, call_id: str) -> str:
        """Return which node knows a call, live or ended. Raises KeyError, and ClusterDown.

        Live calls stand in the registry. Of one that has ended, only the node knows that had it.
        """
        known = self._nodes.get(call_id)
        if known is not None:
            return known
        entry = await self._cluster.owner(call_id)
        if entry is not None:
            if entry.node == self._cluster.name:
                raise KeyError(call_id)  # of an earlier run of ours, or it has just ended
            self.saw(call_id, entry.node)
            return entry.node
        for node, knows in await self.ask_all("has", call_id):
            if knows:
                self.saw(call_id, node)
                return node
        raise KeyError(call_id)

    async def ask_all(self, op: str, call_id: str, *, key: str | None = None) -> Sequence[tuple[str, Any]]:
        """Have every other node do it; returns the answers of those that did not refuse, with their names.

        Raises CommandLate or AnswerLost when nobody did, and somebody might have.
        """
        names = [one.name for one in await self._cluster.nodes() if one.name != self._cluster.name]
        command = Command(id="", op=op, call_id=call_id, idempotency_key=key)
        sent = (self._send(name, command) for name in names)
        answers = await asyncio.gather(*sent, return_exceptions=True)
        done = [
            (name, answer)
            for name, answer in zip(names, answers, strict=True)
            if not isinstance(answer, BaseException) and answer is not False
        ]
        unsure = next((one for one in answers if isinstance(one, CommandLate | AnswerLost)), None)
        if unsure is not None and not done:
            raise unsure
        return done

    async def ask(self, node: str, op: str, args: Mapping[str, Any], *, key: str | None = None) -> Any:
        """Have one node do it. Raises as :meth:`give`."""
        return await self._send(node, Command(id="", op=op, args=args, idempotency_key=key))

    async def give(
        self,
        op: str,
        call_id: str,
        args: Mapping[str, Any] | Trigger | Act | None = None,
        *,
        actor: str = "",
        key: str | None = None,
        read: Callable[[Any, str], Any] = lambda done, node: done,
    ) -> Any:
        """Have the node that knows a call do it; returns what ``read`` makes of its answer and its name.

        Raises what the owner has refused it with, and ClusterDown, NodeGone, CommandLate, AnswerLost.
        """
        node = await self.node_of(call_id)
        given = asdict(args) if isinstance(args, Trigger | Act) else args or {}
        command = Command(id="", op=op, call_id=call_id, args=given, actor=actor, idempotency_key=key)
        try:
            return read(await self._send(node, command), node)
        except NodeGone:
            self._nodes.pop(call_id, None)
            raise

    async def _send(self, node: str, command: Command) -> Any:
        sent = replace(command, id=self._tokens(), within_s=self._within_s)
        return done_of(await self._cluster.command(node, sent))
