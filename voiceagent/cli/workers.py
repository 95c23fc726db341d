"""``voiceagent serve --workers N``: one process per core, and this one that watches over them.

Each worker is a ``voiceagent serve`` like any other, with the settings that are its own given by ``--set``.
It tells us how it is by the protocol by which it would tell systemd, and ends when we end, for we hold its
standard input open.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voiceagent.app.sd_notify import Notifier
from voiceagent.app.workforce import AllReady, Order, Signal, Start, Workforce
from voiceagent.cli.run import fail_with, say
from voiceagent.cli.serve import terminal_gone
from voiceagent.errors import VoiceAgentError
from voiceagent.loops import run_loop
from voiceagent.tasks import TaskNest

_log = logging.getLogger("voiceagent.workers")

WATCHDOG_S = 20.0
"""A worker that we have not heard of for so long hangs."""


@dataclass(frozen=True, slots=True)
class WorkersWish:
    """What ``serve --workers`` was asked for."""

    count: int
    config: Path | None
    given: Mapping[str, Any]
    """Settings of the command line, by their dotted names."""
    hosted: bool = False
    as_json: bool = False


def run_workers(wish: WorkersWish) -> None:
    """Run them until told to stop. Exit status 2 with one line when the settings cannot be split."""
    from voiceagent.settings import load_settings
    from voiceagent.settings.workers import worker_settings

    try:
        settings = load_settings(wish.config, dict(wish.given))
        own = [worker_settings(settings, index, wish.count) for index in range(wish.count)]
    except VoiceAgentError as error:
        fail_with(error, as_json=wish.as_json)
    commands = [command_of(wish, one) for one in own]
    names = [str(one["cluster.node"]) for one in own]
    try:
        status = run_loop(lambda: _Parent(commands, names, as_json=wish.as_json).run())
    except KeyboardInterrupt:
        status = 130
    raise SystemExit(status)


def command_of(wish: WorkersWish, own: Mapping[str, Any]) -> list[str]:
    """Return the command line of a worker whose settings ``own`` are."""
    command = [sys.executable, "-m", "voiceagent", "serve", "--supervised"]
    command += ["--config", str(wish.config)] if wish.config is not None else []
    command += ["--hosted"] if wish.hosted else []
    command += ["--json"] if wish.as_json else []
    for name, value in {**wish.given, **own}.items():
        if value is not None:
            command += ["--set", f"{name}={json.dumps(value)}"]
    return command


class _Parent:
    """Carries out what :class:`Workforce` decides."""

    def __init__(self, commands: Sequence[Sequence[str]], names: Sequence[str], *, as_json: bool) -> None:
        self._commands = commands
        self._names = names
        self._as_json = as_json
        self._force = Workforce(len(commands), WATCHDOG_S)
        self._children: dict[int, asyncio.subprocess.Process] = {}
        self._nest = TaskNest("workers")
        self._manager = Notifier.of_process()
        self._timer: asyncio.TimerHandle | None = None
        self._status: asyncio.Future[int] | None = None
        self._folder = ""
        self._at_terminal = os.isatty(0)

    async def run(self) -> int:
        """Stay until all are gone; return the exit status."""
        loop = asyncio.get_running_loop()
        self._status = loop.create_future()
        signals: Mapping[int, Callable[[], list[Order]]] = {
            signal.SIGTERM: self._stop,
            signal.SIGINT: self._stop,
            signal.SIGHUP: self._hung_up,
        }
        for number, what in signals.items():
            loop.add_signal_handler(number, lambda what=what: self._do(what()))
        with tempfile.TemporaryDirectory(prefix="voiceagent-") as folder, contextlib.ExitStack() as sockets:
            self._folder = folder
            for index in range(len(self._commands)):
                self._listen(index, sockets)
            self._nest.start("service manager", self._manager.keep_alive(self._line))
            try:
                self._do(self._force.begin(loop.time()))
                return await self._status
            finally:
                if self._timer is not None:
                    self._timer.cancel()
                await self._nest.close()
                self._manager.close()

    def _stop(self) -> list[Order]:
        if not self._force.stopping:
            self._manager.stopping(self._line())
            if not self._as_json:
                say("The workers finish their calls; signal again to end them now.")
        return self._force.stop()

    def _hung_up(self) -> list[Order]:
        """Read the flows again; where a terminal was closed, nobody asks for that."""
        return self._stop() if self._at_terminal and terminal_gone() else self._force.reload()

    def _line(self) -> str:
        what = "draining, " if self._force.stopping else ""
        return f"{what}{self._force.ready} of {len(self._commands)} workers ready"

    # ── what is decided ─────────────────────────────────────────────────────────────────────────
    def _do(self, orders: Sequence[Order]) -> None:
        assert self._status is not None
        for order in orders:
            if isinstance(order, Start):
                self._nest.start(self._names[order.index], self._worker(order.index))
            elif isinstance(order, Signal):
                child = self._children.get(order.index)
                if child is not None and child.returncode is None:
                    child.send_signal(signal.Signals[order.name])
            elif isinstance(order, AllReady):
                self._manager.ready()
                self._tell({"event": "ready", "workers": len(self._commands)}, "All workers take calls.")
            elif not self._status.done():
                self._status.set_result(order.status)
        self._manager.status(self._line())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._force.wake_at()
        if due is not None and not self._status.done():
            self._timer = asyncio.get_running_loop().call_at(due, self._wake, due)

    def _wake(self, due: float) -> None:
        self._do(self._force.wake(max(due, asyncio.get_running_loop().time())))

    async def _worker(self, index: int) -> None:
        """One life of one worker."""
        environment = {name: value for name, value in os.environ.items() if name != "WATCHDOG_PID"}
        environment |= {
            "NOTIFY_SOCKET": self._path(index),
            "WATCHDOG_USEC": str(round(WATCHDOG_S * 1e6)),
        }
        try:
            child = await asyncio.create_subprocess_exec(
                *self._commands[index],
                stdin=asyncio.subprocess.PIPE,
                env=environment,
                start_new_session=True,  # Ctrl-C is for us; what it means to them, we tell
            )
        except OSError as error:  # no memory or no process left, say: the next try may come through
            _log.error("worker %s cannot be started: %s", self._names[index], error.strerror)
            status = 1
        else:
            self._children[index] = child
            if self._force.stopping:  # told to while it was being made
                child.send_signal(signal.SIGTERM)
            status = await child.wait()
        if status != 0 and not self._force.stopping:
            told = {"event": "worker ended", "node": self._names[index], "status": status}
            self._tell(told, f"Worker {self._names[index]} has ended (status {status}).")
        self._do(self._force.ended(index, status, asyncio.get_running_loop().time()))

    def _tell(self, event: Mapping[str, Any], line: str) -> None:
        say(json.dumps(event) if self._as_json else line)

    # ── what they tell ──────────────────────────────────────────────────────────────────────────
    def _path(self, index: int) -> str:
        return f"{self._folder}/{index}"

    def _listen(self, index: int, sockets: contextlib.ExitStack) -> None:
        loop = asyncio.get_running_loop()
        ear = sockets.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        ear.bind(self._path(index))
        ear.setblocking(False)
        loop.add_reader(ear, self._heard, index, ear)
        sockets.callback(loop.remove_reader, ear)

    def _heard(self, index: int, ear: socket.socket) -> None:
        try:
            lines = ear.recv(4096).decode("utf-8", "replace").splitlines()
        except BlockingIOError:
            return
        now = asyncio.get_running_loop().time()
        self._do(self._force.heard(index, now, ready="READY=1" in lines))
