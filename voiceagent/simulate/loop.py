"""The loop that simulated calls run on: the clock jumps, nothing reaches out, standing still is noticed."""

from __future__ import annotations

import asyncio
import concurrent.futures
import sys
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from voiceagent.call.flow_failure import is_own
from voiceagent.errors import ConfigError
from voiceagent.simulate import guard
from voiceagent.simulate.virtual_loop import VirtualDeadlock, VirtualTimeLoop

T = TypeVar("T")

SPINS = 50_000
"""So many rounds of the loop without time passing: whoever runs then goes round in circles."""

ROUNDS = 200_000
"""So many rounds a whole simulation may take …"""
ROUNDS_PER_S = 1_000
"""… and so many more for each second of its clock. A conversation takes about ten a second."""

THREAD_LIMIT_S = 60.0
"""How long, in real time, work in threads is waited for."""
THREAD_WAIT_S = 1.0
"""So long, in real time, the loop stands still for work in a thread: what is done by then comes in the turn
in which it was asked for, so that two runs are equal. Longer work is waited for while others run on."""

asking: ContextVar[str] = ContextVar("asking", default="")
"""Key of the outside work (``tool:NAME:…``, ``fetch:NAME:…``) that is being done just now."""


class RealWorldRefused(ConfigError):
    """Something in a simulated call wants to reach the network or another process."""

    def __init__(self, deed: str) -> None:
        key = asking.get()
        kind, _, rest = key.partition(":")
        name = rest.rpartition(":")[0] if rest.count(":") else rest
        table = f"{'tools' if kind == 'tool' else kind}.{name}" if key else ""
        who = f"the {kind} {name!r}" if key else "the flow"
        place = _place() or guard.asked_at()
        at = f" ({place})" if place else ""
        remedy = (
            f"say in the scenario what it gives: [{table}] result = …"
            if key
            else "have it done by a tool or a fetch, and say in the scenario what that gives"
        )
        super().__init__(
            table or "flow", f"{who} wants to {deed}{at}, which a simulation does not do; {remedy}"
        )


def _place() -> str:
    """Return which line of the flow's files is running: ``shop.py:12``; empty: none."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None and frame.f_code.co_name != "_run_once":
        if is_own(frame.f_code.co_filename):
            return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


class SimulationLoop(VirtualTimeLoop):
    """A virtual loop without a way out. ``refused`` holds what was tried."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: list[RealWorldRefused] = []
        self._spins = 0
        self._spun_at = 0.0
        self._rounds = 0
        self._granted = ROUNDS
        self._granted_at = self.time()
        self._threads_since: float | None = None
        guard.install(SimulationLoop)

    def note_refusal(self, deed: str) -> RealWorldRefused:
        """Keep that something wanted to reach out, for the verdict; who refused it may be somebody else."""
        error = RealWorldRefused(deed)
        self.refused.append(error)
        return error

    def _refuse(self, deed: str) -> NoReturn:
        raise self.note_refusal(deed)

    def grant(self, rounds: int) -> None:
        """Let it go on for so many rounds from here, whatever it took before; threads are forgotten."""
        self._rounds = self._spins = self.threads_at_work = 0
        self._granted, self._granted_at = rounds, self.time()

    def _run_once(self) -> None:
        now = self.time()
        if self.threads_at_work:
            self._watch_threads()
        else:
            self._threads_since = None
            self._rounds += 1
        if self._rounds > self._granted + ROUNDS_PER_S * (now - self._granted_at):
            rounds, self._rounds = self._rounds, 0
            raise VirtualDeadlock(
                f"something runs in circles: {rounds} rounds in {now - self._granted_at:.1f} s of the call"
            )
        if now != self._spun_at:
            self._spun_at, self._spins = now, 0
        self._spins += 1
        if self._spins > SPINS and not self.threads_at_work:
            self._spins = 0
            raise VirtualDeadlock("something runs in circles: the clock stands still")
        super()._run_once()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]

    def _watch_threads(self) -> None:
        now = time.monotonic()
        if self._threads_since is None:
            self._threads_since = now
        elif now - self._threads_since > THREAD_LIMIT_S:
            self._threads_since = None
            raise VirtualDeadlock(f"work in a thread is not done after {THREAD_LIMIT_S:g} s of real time")

    def _thread_done(self, _future: asyncio.Future[Any]) -> None:
        self.threads_at_work = max(0, self.threads_at_work - 1)  # it may have been forgotten

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        work = self._in_thread(func, *args) if executor is None else executor.submit(func, *args)
        concurrent.futures.wait([work], THREAD_WAIT_S)
        if not work.done() or work.cancelled() or isinstance(work.exception(), StopIteration):
            return self._await_thread(asyncio.wrap_future(work, loop=self))
        done: asyncio.Future[T] = self.create_future()
        error = work.exception()
        if error is None:
            done.set_result(work.result())
        else:
            done.set_exception(error)
        return done

    def _in_thread(self, func: Callable[..., T], *args: Any) -> concurrent.futures.Future[T]:
        """Run ``func`` in a thread of its own; not even the process's end waits for one that never ends."""
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        place = _place()

        def run() -> None:
            try:
                result = guard.in_thread_of(self, place, lambda: func(*args))
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        future.set_running_or_notify_cancel()
        threading.Thread(target=run, name="simulated call's work", daemon=True).start()
        return future

    def _await_thread(self, future: asyncio.Future[T]) -> asyncio.Future[T]:
        self.threads_at_work += 1
        future.add_done_callback(self._thread_done)
        return future

    async def create_connection(self, *args: Any, **kwargs: Any) -> Any:
        host, port = (*args[1:3], kwargs.get("host"), kwargs.get("port"))[:2]
        self._refuse(f"connect to {host}:{port}")

    async def create_datagram_endpoint(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse("send datagrams")

    async def create_unix_connection(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse("connect to a socket of this machine")

    async def create_server(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse("listen on a port")

    async def getaddrinfo(self, host: Any, *args: Any, **kwargs: Any) -> Any:
        self._refuse(guard.look_up(host, *args[:1]))

    async def sock_connect(self, sock: Any, address: Any) -> Any:
        self._refuse(f"connect to {address}")

    async def subprocess_exec(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse("start a program")

    async def subprocess_shell(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse("start a program")


def new_runner(loops: list[SimulationLoop] | None = None) -> asyncio.Runner:
    """Return a runner on a fresh simulation loop, which is put into ``loops``."""

    def make() -> asyncio.AbstractEventLoop:
        loop = SimulationLoop()
        if loops is not None:
            loops.append(loop)
        return loop

    return asyncio.Runner(loop_factory=make)
