"""Where commands for this node arrive: each is done once, in a task of its own, and answered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from voiceagent.cluster.envelope import Envelope, Fate, Inbox, Reply, Verdict
from voiceagent.cluster.ports import AnswerLost, Command, CommandLate, Handle
from voiceagent.tasks import TaskNest

_log = logging.getLogger("voiceagent.cluster")

GRACE_S = 1.0
"""How long a sender waits after the deadline: the work may have begun just before it, and the word "late"
needs its way back."""


class CommandDesk:
    """``clock`` is the fleet's."""

    def __init__(self, handle: Handle, clock: Callable[[], float]) -> None:
        self._handle = handle
        self._clock = clock
        self._inbox = Inbox()
        self._work: dict[str, asyncio.Task[Reply]] = {}
        self._tasks = TaskNest("cluster/commands")

    def take(self, envelope: Envelope) -> asyncio.Future[Reply] | Reply:
        """Return the reply, or the work that will end in it. A copy gets what the first one gets."""
        now = self._clock()
        for old in self._inbox.forget(now):
            self._work.pop(old, None)
        command = envelope.command
        verdict = self._inbox.arrived(envelope, now)
        if verdict is Verdict.LATE:
            return Reply(command.id, Fate.LATE)
        if verdict is Verdict.TAKE:
            self._work[command.id] = self._tasks.start(command.op, self._do(envelope))
        return self._work[command.id]

    async def _do(self, envelope: Envelope) -> Reply:
        command = envelope.command
        try:
            return Reply(command.id, Fate.DONE, await self._handle(command))
        except Exception as error:
            _log.exception("command %s failed", command.op)
            return Reply(command.id, Fate.FAILED, why=f"{type(error).__name__}: {error}")

    async def close(self) -> None:
        """End what is still at work; its senders get no answer."""
        await self._tasks.close()


def answer_of(reply: Reply, op: str) -> dict[str, object]:
    """Return a reply's answer. Raises CommandLate and AnswerLost."""
    if reply.fate is Fate.LATE:
        raise CommandLate(f"{op}: its node took it up only after the deadline, and left it undone")
    if reply.fate is Fate.FAILED:
        raise AnswerLost(f"{op}: its node failed at it: {reply.why}")
    return dict(reply.answer)


async def reply_in(work: asyncio.Future[Reply] | Reply, command: Command, grace_s: float) -> Reply:
    """Wait for a reply until shortly after the deadline. Raises AnswerLost; the work itself goes on."""
    if isinstance(work, Reply):
        return work
    try:
        async with asyncio.timeout(max(0.0, command.within_s) + grace_s):
            return await asyncio.shield(work)
    except TimeoutError:
        raise AnswerLost(f"{command.op}: no answer within {command.within_s:g} s") from None
    except asyncio.CancelledError:
        if not work.cancelled():
            raise
        raise AnswerLost(f"{command.op}: the node is leaving") from None
