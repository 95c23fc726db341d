"""Keeps blocking calls of a simulated flow from the network and from other programs.

What goes through asyncio is refused by :class:`~voiceagent.simulate.loop.SimulationLoop` itself. This is for
what does not (``socket.create_connection``, httpx without ``async``, ``subprocess.run``): Python announces it
to audit hooks, and one that raises forbids it. It holds in the simulation's own thread and in those of
``asyncio.to_thread``; not in threads that a flow starts itself, and not for libraries that open their sockets
without Python. Flow files are imported before the simulation begins.
"""

from __future__ import annotations

import asyncio
import functools
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar


class Guarded(Protocol):
    """A loop that wants nothing to reach out."""

    def note_refusal(self, deed: str) -> Exception:
        """Keep what was wanted; return what is raised."""
        ...


def _connects(_socket: Any, address: Any) -> str:
    if isinstance(address, tuple) and len(address) >= 2:  # pyright: ignore[reportUnknownArgumentType]
        return f"connect to {address[0]}:{address[1]}"
    return "connect to a socket of this machine"


def look_up(host: Any, port: Any = None, *_: Any) -> str:
    """Return the words for asking where a host is, which is done to connect to it."""
    shown = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    return f"connect to {shown}:{port}" if port else f"look up {shown}"


_PROGRAM = "start a program"
_DEEDS: Mapping[str, Callable[..., str] | str] = {
    "socket.connect": _connects,
    "socket.getaddrinfo": look_up,
    "socket.gethostbyname": look_up,
    "socket.gethostbyaddr": look_up,
    "socket.sendto": "send datagrams",
    "socket.sendmsg": "send datagrams",
    "socket.bind": "listen on a port",
    "subprocess.Popen": _PROGRAM,
    "os.system": _PROGRAM,
    "os.posix_spawn": _PROGRAM,
    "os.exec": _PROGRAM,
}
"""What is refused, by the name of its audit event: the words for it, or what makes them of the arguments."""

T = TypeVar("T")

_thread = threading.local()


def in_thread_of(loop: Guarded, place: str, work: Callable[[], T]) -> T:
    """Run ``work`` in this thread on behalf of ``loop``, as guarded as the loop's own.

    ``place`` is where in the flow's files that was asked for.
    """
    _thread.loop, _thread.place = loop, place
    return work()


def asked_at() -> str:
    """Return where the work of this thread was asked for; empty in any other thread."""
    return str(getattr(_thread, "place", ""))


@functools.cache
def install(kind: type[Guarded]) -> None:
    """Guard all loops of ``kind`` from here on; a hook stays until the process ends."""

    def hook(event: str, args: tuple[Any, ...]) -> None:
        deed = _DEEDS.get(event)
        if deed is None:
            return
        loop: Any = asyncio._get_running_loop() or getattr(_thread, "loop", None)  # pyright: ignore[reportPrivateUsage]
        if isinstance(loop, kind):
            raise loop.note_refusal(deed if isinstance(deed, str) else deed(*args))

    sys.addaudithook(hook)
