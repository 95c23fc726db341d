"""A flag that coroutines wait for: what ``asyncio.Event`` is, small enough for a call to have many."""

from __future__ import annotations

import asyncio


class Flag:
    """Set or not; :meth:`wait` waits until it is set.

    ``asyncio.Event`` makes a queue of 760 bytes for those who wait, also where nobody ever does.
    """

    __slots__ = ("_set", "_waiters")

    def __init__(self) -> None:
        self._set = False
        self._waiters: list[asyncio.Future[None]] = []

    def is_set(self) -> bool:
        """Return whether it is set."""
        return self._set

    def set(self) -> None:
        """Set it, and wake all who wait, in the order in which they came."""
        if not self._set:
            self._set = True
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def clear(self) -> None:
        """From now on one waits again."""
        self._set = False

    async def wait(self) -> None:
        """Return once it is set; at once where it is."""
        if self._set:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            self._waiters.remove(waiter)
