"""One caller in a queue: music, where they stand, the way out, and the targets that are tried for them.

What the node's queues say is an input of the call: it comes through ``outside``, so a replay needs no queue.
The caller is not on hold in the sense of SIP: keys still arrive, and no offers go to and fro at every try.
What the caller says meanwhile is heard by nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from voiceagent.call.leg import TransferResult
from voiceagent.call.observer import CallObserver
from voiceagent.call.queue_room import AnyQueue, QueueRoom
from voiceagent.call.queueing import QueueView
from voiceagent.errors import RequestRefused
from voiceagent.flags import Flag
from voiceagent.ivr.ports import DigitPressed, Line, QueueOutcome

if TYPE_CHECKING:
    from voiceagent.call.call import Call
    from voiceagent.call.flow_port import FlowPort

EARLY_S = 0.001
"""So much before its time something may be done: a timer fires within the clock's resolution."""

Say = Callable[[int], Line]
"""The line that tells a caller the position."""


class Queueing:
    """Lets one call wait in queues."""

    __slots__ = ("_asked", "_call", "_observer", "_room")

    def __init__(self, call: Call, room: QueueRoom | None, observer: CallObserver) -> None:
        self._call = call
        self._room = room or QueueRoom(AnyQueue())
        self._observer = observer
        self._asked = 0

    async def wait(
        self,
        port: FlowPort,
        queue: str,
        say: Say | None,
        *,
        timeout_s: float | None,
        whisper: Line | None,
        leave: str,
    ) -> QueueOutcome:
        """Wait in ``queue`` until somebody takes the caller (then it does not return) or it is over."""
        call, room = self._call, self._room
        if not call.leg.capabilities.can_transfer:
            raise RequestRefused("queue", "this kind of call cannot be handed over", code="not_supported")
        began = _now()
        try:
            entered = await self._outside(port, queue, lambda: room.enter(queue, call.id))
        except asyncio.CancelledError:
            room.leave(call.id)
            raise
        times = {name: float(entered.pop(name)) for name in ("ring_s", "announce_every_s", "wait_limit_s")}
        view, reason = QueueView(**entered), "hung_up"
        if not view.position:
            call.journal.write("queue.refused", queue=queue, reason=view.refused)
            room.leave(call.id)  # nobody asks again why
            return QueueOutcome(view.refused, 0, 0.0)
        call.journal.write("queue.entered", queue=queue, position=view.position, waiting=view.waiting)
        limit_s = min(times["wait_limit_s"], times["wait_limit_s"] if timeout_s is None else timeout_s)
        wait = _Wait(self, port, queue, view, say, whisper, leave, times, began + limit_s)
        call.holding.queue(True)
        try:
            reason = await wait.run()
        finally:
            try:
                await wait.close()
            finally:
                # Also when the call's end comes into that: who is left behind keeps everybody waiting.
                waited_s = self._left(queue, reason, began)
        return QueueOutcome(reason, wait.view.position, waited_s)

    def _left(self, queue: str, reason: str, began: float) -> float:
        """The caller waits no more; return for how many seconds that was."""
        call, room = self._call, self._room
        if call.transfers.newest is not None and call.transfers.newest.state == "done":
            reason = "connected"
        room.leave(call.id)
        call.holding.queue(False)
        waited_s = round(_now() - began, 3)
        call.journal.write("queue.left", queue=queue, reason=reason, waited_s=waited_s)
        self.tell("queue.left", queue, room.waiting(queue), reason=reason)
        return waited_s

    async def news(self, port: FlowPort, queue: str, seen: QueueView) -> QueueView:
        """Wait until the queue stands otherwise for this caller."""
        told = await self._outside(port, queue, lambda: self._room.next(self._call.id, seen))
        return QueueView(**told)

    async def _outside(
        self, port: FlowPort, queue: str, work: Callable[[], Coroutine[Any, Any, dict[str, Any]]]
    ) -> dict[str, Any]:
        self._asked += 1
        return dict(await port.outside(f"queue:{queue}:{self._asked}", work))

    async def offer(
        self, port: FlowPort, queue: str, target: str, ring_s: float, whisper: Line | None
    ) -> TransferResult:
        """Try one target; returns when it could not be had."""
        call = self._call
        transfers = call.transfers
        if call.leg.capabilities.can_consult and transfers.can_dial:
            speak = None if whisper is None else lambda: port.speak(whisper)
            result = await transfers.attended(target, ring_s, speak, hold=False)
        else:
            result = await transfers.blind(target, ring_s)
        call.journal.write(
            "queue.offered", queue=queue, target=target, accepted=result.accepted, status=result.status
        )
        if result.accepted:
            await Flag().wait()  # the call's end cancels the flow here
        self._room.tried(call.id)
        return result

    @property
    def answered(self) -> bool:
        """The target that is being tried has picked up: there is no way back any more."""
        newest = self._call.transfers.newest
        return self._call.transfers.active and newest is not None and newest.status == 200

    def show(self, queue: str, view: QueueView) -> None:
        """Tell operators where the caller stands."""
        self._call.step = f"queue {queue} {view.position}/{view.waiting}"
        self._observer.call_changed(self._call)
        self.tell("queue.position", queue, view.waiting, position=view.position)

    def moved(self, queue: str, view: QueueView) -> None:
        """Write down where the caller stands now."""
        self._call.journal.write("queue.position", queue=queue, position=view.position, waiting=view.waiting)

    def tell(self, kind: str, queue: str, waiting: int, **facts: Any) -> None:
        """Tell operators and figures."""
        self._observer.happened(self._call, kind, {"queue": queue, "waiting": waiting, **facts})


class _Wait:
    """What goes on while one caller waits; every part is a task of its own."""

    def __init__(
        self,
        queueing: Queueing,
        port: FlowPort,
        queue: str,
        view: QueueView,
        say: Say | None,
        whisper: Line | None,
        leave: str,
        times: dict[str, float],
        limit_at: float,
    ) -> None:
        self.view = view
        self._queueing = queueing
        self._port = port
        self._queue = queue
        self._say = say
        self._whisper = whisper
        self._leave = leave
        self._ring_s, self._every_s = times["ring_s"], times["announce_every_s"]
        self._limit_at = limit_at
        self._say_at = _now()
        self._news: asyncio.Task[QueueView] | None = None
        self._key: asyncio.Task[None] | None = None
        self._saying: asyncio.Task[Any] | None = None
        self._offer: asyncio.Task[TransferResult] | None = None
        self._attempt = 0

    async def run(self) -> str:
        """Wait; return why the caller waits no more: left, timed_out, closed."""
        queueing, port = self._queueing, self._port
        queueing.show(self._queue, self.view)
        self._key = self._start("key", self._leaves())
        self._news = self._start("news", queueing.news(port, self._queue, self.view))
        while True:
            over = self._over()
            if over and not queueing.answered:
                return over
            self._begin_what_is_due()
            running = [one for one in self._tasks() if not one.done()]
            await asyncio.wait(running, timeout=self._pause(over), return_when=asyncio.FIRST_COMPLETED)
            self._take_what_is_done()

    def _over(self) -> str:
        if self._key is not None and self._key.done():
            return "left"
        if self.view.refused:
            return self.view.refused
        return "timed_out" if _now() + EARLY_S >= self._limit_at else ""

    def _begin_what_is_due(self) -> None:
        view, queueing = self.view, self._queueing
        if self._saying is not None or self._offer is not None:
            return
        if view.target is not None and view.attempt != self._attempt:
            self._attempt = view.attempt
            work = queueing.offer(self._port, self._queue, view.target, self._ring_s, self._whisper)
            self._offer = self._start("offer", work)
        elif self._say is not None and _now() + EARLY_S >= self._say_at:
            self._say_at = _now() + self._every_s
            self._saying = self._start("position", self._port.speak(self._say(view.position)))

    def _pause(self, over: str) -> float | None:
        """Until when there is nothing to begin."""
        if over:
            return 0.1  # somebody has picked up: it is looked whether that comes to nothing
        due = self._limit_at
        if self._say is not None and self._saying is None and self._offer is None:
            due = min(due, self._say_at)
        return max(0.0, due - _now())

    def _take_what_is_done(self) -> None:
        if self._saying is not None and self._saying.done():
            self._saying.result()
            self._saying = None
        if self._offer is not None and self._offer.done():
            self._offer.result()
            self._offer = None
        if self._news is not None and self._news.done():
            before, self.view = self.view, self._news.result()
            self._news = None
            if self.view.position:
                self._news = self._start("news", self._queueing.news(self._port, self._queue, self.view))
                if (before.position, before.waiting) != (self.view.position, self.view.waiting):
                    if before.position != self.view.position:
                        self._queueing.moved(self._queue, self.view)
                    self._queueing.show(self._queue, self.view)

    async def _leaves(self) -> None:
        self._port.forget_input()
        while await self._port.next_input(None) != DigitPressed(self._leave):
            pass

    def _tasks(self) -> list[asyncio.Task[Any]]:
        every: tuple[asyncio.Task[Any] | None, ...] = (self._news, self._key, self._saying, self._offer)
        return [one for one in every if one is not None]

    def _start(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        return asyncio.get_running_loop().create_task(work, name=f"ivr/queue {name}")

    async def close(self) -> None:
        """End all of it."""
        tasks = self._tasks()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _now() -> float:
    return asyncio.get_running_loop().time()
