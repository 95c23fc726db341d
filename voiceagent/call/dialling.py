"""Reaching a provider: attempts with growing, random pauses, inside a limit of time that holds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from voiceagent.errors import ProviderError
from voiceagent.realtime.session import RealtimeSession

Open = Callable[[], Awaitable[RealtimeSession]]
Run = Callable[[str, Coroutine[Any, Any, Any]], asyncio.Task[Any]]

FIRST_ATTEMPTS = 3
"""Attempts for a call that is not answered yet; the caller hears it ring meanwhile."""
SECOND_SHARE = 0.4
"""Part of the time to connect that is kept for the second provider."""
HOPELESS = frozenset({"http_401", "http_403", "http_404", "invalid_api_key", "insufficient_quota", "config"})
"""Codes that the next attempt would meet again."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why no session came about. ``ours`` is a fault of our own."""

    code: str
    message: str
    ours: bool = False

    @property
    def hopeless(self) -> bool:
        """True when trying again makes no sense."""
        return self.ours or self.code in HOPELESS


async def attempt(open_session: Open, run: Run, limit_s: float) -> RealtimeSession | Failure:
    """Open a session within ``limit_s``; what is late is cancelled and cleans up behind our back."""
    task = run("connect", _try(open_session))
    try:
        await asyncio.wait({task}, timeout=limit_s)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not task.done():
        task.cancel()
        return Failure("provider_timeout", "no session in time")
    return task.result()


async def reach(
    first: Open, second: Open | None, run: Run, limit_s: float, chance: Callable[[], float] = random.random
) -> RealtimeSession | Failure:
    """Open the session of a new call within ``limit_s``; the second provider gets the last part of it."""
    loop = asyncio.get_running_loop()
    end = loop.time() + limit_s
    first_end = end if second is None else end - limit_s * SECOND_SHARE
    failure = Failure("provider_timeout", "no session in time")
    for count in range(1, FIRST_ATTEMPTS + 1):
        if loop.time() >= first_end:
            break
        opened = await attempt(first, run, first_end - loop.time())
        if not isinstance(opened, Failure):
            if not opened.closed:
                return opened
            opened = Failure("link_lost", "the session did not outlive its set-up")
        failure = opened
        if failure.hopeless or count == FIRST_ATTEMPTS:
            break
        await asyncio.sleep(max(0.0, min(pause_s(count, 0.2, 1.0, chance), first_end - loop.time())))
    if second is not None and not failure.ours:
        return await attempt(second, run, end - loop.time())
    return failure


def pause_s(attempts: int, base_s: float, most_s: float, chance: Callable[[], float]) -> float:
    """Return the pause after so many failed attempts: full jitter over a doubling range."""
    return chance() * min(most_s, base_s * 2.0 ** min(attempts - 1, 16))


async def _try(open_session: Open) -> RealtimeSession | Failure:
    try:
        return await open_session()
    except ProviderError as error:
        return Failure(error.code, str(error))
    except Exception as error:
        # A fault of ours must not leave the caller in silence, either: it is told as one.
        return Failure("internal", f"{type(error).__name__}: {error}", ours=True)
