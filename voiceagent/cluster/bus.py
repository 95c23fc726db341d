"""Commands to other nodes and from them, over Redis' channels: heard now or never."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping

from voiceagent.cluster.beats import FleetClock
from voiceagent.cluster.desk import GRACE_S, CommandDesk, answer_of
from voiceagent.cluster.envelope import Envelope, Reply
from voiceagent.cluster.ports import AnswerLost, Command, NodeGone
from voiceagent.cluster.redis_line import LineDown, RedisLine
from voiceagent.cluster.registry import Registry
from voiceagent.tasks import TaskNest

_log = logging.getLogger("voiceagent.cluster")

AGAIN_S = 0.2
"""Between two attempts to listen again. Who sends meanwhile is told that nobody listens."""


class CommandBus:
    """Two channels of one run of a node: its commands, and the replies to what it sent."""

    def __init__(
        self, line: RedisLine, registry: Registry, epoch: str, clock: FleetClock, desk: CommandDesk
    ) -> None:
        self._line = line
        self._registry = registry
        self._clock = clock
        self._desk = desk
        self._commands, self._replies = f"cmd:{epoch}", f"re:{epoch}"
        self._waiting: defaultdict[str, set[asyncio.Future[Reply]]] = defaultdict(set)
        self._tasks = TaskNest("cluster/bus")

    async def open(self) -> None:
        """Listen. Raises LineDown."""
        listening: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks.start("listen", self._listen(listening))
        await listening

    async def close(self) -> None:
        """Hear and answer no more."""
        await self._tasks.close()
        await self._desk.close()

    async def send(self, epoch: str, command: Command, grace_s: float) -> Mapping[str, object]:
        """Have the run of a node named by ``epoch`` do it.

        Raises NodeGone when it does not listen, LineDown, CommandLate, AnswerLost.
        """
        deadline = self._clock.earliest() + command.within_s
        envelope = Envelope(command, deadline, self._replies)
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[command.id].add(answer)
        try:
            async with asyncio.timeout(max(0.0, command.within_s) + grace_s):
                if not await self._registry.publish(f"cmd:{epoch}", envelope.encode()):
                    raise NodeGone(f"{command.op}: its node does not listen")
                return answer_of(await answer, command.op)
        except TimeoutError:
            raise AnswerLost(f"{command.op}: no answer within {command.within_s:g} s") from None
        finally:
            self._waiting[command.id].discard(answer)
            if not self._waiting[command.id]:
                del self._waiting[command.id]

    async def _listen(self, listening: asyncio.Future[None]) -> None:
        commands = self._registry.key(self._commands)
        while True:
            try:
                async for heard in self._line.listen(commands, self._registry.key(self._replies)):
                    if heard is None:
                        if not listening.done():
                            listening.set_result(None)
                    elif heard[0] == commands:
                        self._commanded(heard[1])
                    else:
                        self._answered(heard[1])
            except LineDown as down:
                if not listening.done():
                    listening.set_exception(down)
                    return
            await asyncio.sleep(AGAIN_S)

    def _commanded(self, message: bytes) -> None:
        try:
            envelope = Envelope.decode(message)
        except ValueError as error:
            _log.warning("a command that cannot be read: %s", error)
            return
        self._tasks.start("reply", self._reply(envelope, self._desk.take(envelope)))

    async def _reply(self, envelope: Envelope, work: asyncio.Future[Reply] | Reply) -> None:
        """Answer; who does not listen just now may listen again before he gives up."""
        reply = work if isinstance(work, Reply) else await asyncio.shield(work)
        why = "nobody waits for it"
        while True:
            try:
                if await self._registry.publish(envelope.reply_to, reply.encode()):
                    return
            except LineDown as down:
                why = str(down)
            if self._clock.earliest() > envelope.deadline + GRACE_S:
                _log.warning("the answer to command %s is lost: %s", reply.id, why)
                return
            await asyncio.sleep(AGAIN_S)

    def _answered(self, message: bytes) -> None:
        try:
            reply = Reply.decode(message)
        except ValueError as error:
            _log.warning("a reply that cannot be read: %s", error)
            return
        for waiting in self._waiting.get(reply.id, ()):
            if not waiting.done():
                waiting.set_result(reply)
