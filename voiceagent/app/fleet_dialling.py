"""Calls of ours, placed once for a key, whichever nodes of a fleet are asked, and in the same moment.

Who claims the key places the call; whoever comes second asks the holder of the claim, and gets its call.
While the registry is away a node decides by itself.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from voiceagent.app.directory import NodeDirectory
from voiceagent.app.fleet_orders import Orders
from voiceagent.app.fleet_wire import call_view
from voiceagent.cluster.ports import AnswerLost, Cluster, ClusterDown, CommandLate, NodeGone
from voiceagent.console.ports import CallView, DialWish
from voiceagent.tasks import TaskNest

CLAIM_S = 3600.0
"""How long a key is known for used although its node cannot be asked any more."""
AGAIN_S = 0.05
"""After a holder who has not placed the call, and has given its claim back by then or soon will."""


class FleetDialling:
    """Of one node. ``within_s``: how long another node may take to say what has become of a key."""

    def __init__(self, local: NodeDirectory, cluster: Cluster, orders: Orders, *, within_s: float) -> None:
        self._local = local
        self._cluster = cluster
        self._orders = orders
        self._within_s = within_s
        self._placing: dict[str, asyncio.Future[CallView]] = {}
        self._nest = TaskNest("fleet/dialling")

    async def dial(self, wish: DialWish, key: str, operator: str) -> CallView:
        """Return the call that is placed for ``key``, by whichever node.

        Raises what the local directory refuses with; AnswerLost when another node may have placed it and does
        not say; ClusterDown when the registry goes away while another one is at it; KeyError: it was placed
        too long ago.
        """
        placed = self._placing.get(key)
        if placed is None:
            placed = self._placing[key] = asyncio.get_running_loop().create_future()
            # In a task of its own: an asker who goes leaves no claim behind that nobody acts on.
            self._nest.start("place", self._settle(placed, wish, key, operator))
        return await asyncio.shield(placed)

    async def over(self, key: str) -> None:
        """Wait until this node is no longer about to place a call for ``key``."""
        placed = self._placing.get(key)
        if placed is not None:
            await asyncio.wait({placed})

    async def close(self) -> None:
        """Place nothing any more."""
        await self._nest.close()

    async def _settle(
        self, placed: asyncio.Future[CallView], wish: DialWish, key: str, operator: str
    ) -> None:
        placed.add_done_callback(lambda done: done.exception())  # there may be nobody left to be told
        try:
            placed.set_result(await self._place(wish, key, operator))
        except asyncio.CancelledError:
            placed.set_exception(NodeGone("this node is leaving"))
            raise
        except Exception as error:
            placed.set_exception(error)
        finally:
            del self._placing[key]

    async def _place(self, wish: DialWish, key: str, operator: str) -> CallView:
        known = self._local.dialled_for(key)
        if known is not None:
            return known
        try:
            first = await self._cluster.claim(_claim(key), CLAIM_S)
        except ClusterDown:
            return self._local.dial(wish, idempotency_key=key, operator=operator)
        if not first:
            try:
                async with asyncio.timeout(self._within_s):
                    theirs = await self._theirs(key)
            except TimeoutError:
                await self._give_back(key)  # it may have become ours just then
                raise _unsure(f"it has not said within {self._within_s:g} s") from None
            if theirs is not None:
                return theirs
        try:
            view = await self._older(key)
            if view is None:
                return self._local.dial(wish, idempotency_key=key, operator=operator)
        except BaseException:
            await self._give_back(key)
            raise
        await self._give_back(key)
        return view

    async def _theirs(self, key: str) -> CallView | None:
        """Return the call that the holder of the claim has placed; None: the claim has become ours."""
        while True:
            holder = await self._cluster.holder(_claim(key))
            if holder is not None:
                name, epoch = holder
                if epoch == self._cluster.epoch:
                    return None
                try:
                    told = await self._orders.ask(name, "dialled", {"wait": True}, key=key)
                except NodeGone:
                    raise _unsure(f"node {name} is gone") from None
                except (CommandLate, AnswerLost) as error:
                    raise _unsure(str(error)) from None
                if told is not False:
                    return _view(told, name)
                known = [one.epoch for one in await self._cluster.nodes()]
                if self._cluster.stale:
                    raise ClusterDown(self._cluster.stale)
                if epoch not in known:
                    raise _unsure(f"node {name} has been started anew")
                await asyncio.sleep(AGAIN_S)
            if await self._cluster.claim(_claim(key), CLAIM_S):
                return None

    async def _older(self, key: str) -> CallView | None:
        """Return the call that some node placed without a claim, or whose claim is over."""
        with suppress(ClusterDown):
            for node, told in await self._orders.ask_all("dialled", "", key=key):
                return _view(told, node)
        return None

    async def _give_back(self, key: str) -> None:
        with suppress(ClusterDown):
            await self._cluster.release(_claim(key))


def _claim(key: str) -> str:
    return f"dial:{key}"


def _view(told: dict[str, str], node: str) -> CallView:
    if "forgotten" in told:
        raise KeyError(told["forgotten"])
    return call_view(told, node=node)


def _unsure(why: str) -> AnswerLost:
    return AnswerLost(f"another node was asked to place this call, and may have done so: {why}")
