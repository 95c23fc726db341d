"""Tell the service manager how we are: sd_notify(3), in the few lines that it takes.

``systemd`` (``Type=notify``, ``WatchdogSec=``) and the parent of several workers read it alike. Without
``NOTIFY_SOCKET`` nothing is sent and nothing costs anything. What cannot be sent is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Mapping

STATUS_S = 5.0
"""How often the status is told where no watchdog asks more often."""


class Notifier:
    """One process's line to its manager."""

    def __init__(self, path: str = "", watchdog_s: float | None = None) -> None:
        """``path`` is that of a Unix datagram socket; one that begins with ``@`` is abstract. Empty: nobody.

        ``watchdog_s``: a manager that hears no beat for so long ends the process.
        """
        self.watchdog_s = watchdog_s
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self._socket: socket.socket | None = None
        self._status = ""
        if path:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)

    @classmethod
    def of_process(cls, environment: Mapping[str, str] = os.environ, pid: int | None = None) -> Notifier:
        """Return the one that the manager has set up for this process, by its environment."""
        path = environment.get("NOTIFY_SOCKET", "")
        if not path.startswith(("/", "@")) or len(path) < 2:
            path = ""
        return cls(path, _watchdog_s(environment, os.getpid() if pid is None else pid) if path else None)

    @property
    def heard(self) -> bool:
        """Whether there is anybody to tell."""
        return self._socket is not None

    def tell(self, *lines: str) -> bool:
        """Send ``NAME=value`` lines as one datagram; False when it could not be sent."""
        if self._socket is None:
            return False
        try:
            self._socket.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            return False
        return True

    def ready(self) -> None:
        """Calls are taken. Told again after a reload it changes nothing."""
        self.tell("READY=1")

    def stopping(self, status: str = "") -> None:
        """The process is on its way out."""
        self._status = status or self._status
        self.tell("STOPPING=1", *([f"STATUS={status}"] if status else []))

    def status(self, text: str) -> None:
        """Say in one line how it goes; what was said last is not said again."""
        line = " ".join(text.split())
        if line != self._status and self.tell(f"STATUS={line}"):
            self._status = line

    async def keep_alive(self, status: Callable[[], str], healthy: Callable[[], bool] = lambda: True) -> None:
        """Beat until cancelled, twice in the watchdog's time; ends at once where nobody listens.

        The beat comes from the event loop, so a loop that stands still is noticed; so is whatever ``healthy``
        says no to.
        """
        every_s = STATUS_S if self.watchdog_s is None else self.watchdog_s / 2
        while self.heard:
            if self.watchdog_s is not None and healthy():
                self.tell("WATCHDOG=1")
            self.status(status())
            await asyncio.sleep(every_s)

    def close(self) -> None:
        """Say nothing any more."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
            self._socket = None


def _watchdog_s(environment: Mapping[str, str], pid: int) -> float | None:
    """Read sd_watchdog_enabled(3): the time in microseconds, and whom it is meant for."""
    try:
        meant = int(environment.get("WATCHDOG_PID", pid))
        seconds = int(environment.get("WATCHDOG_USEC", "0")) / 1e6
    except ValueError:
        return None
    return seconds if meant == pid and seconds > 0 else None
