"""Last sentences: said until the caller has heard them whole, but nobody waits for that for ever.

A provider that detects speech by itself cuts what it is making, also a line that is not to be interrupted:
such a line is said again. A caller who speaks, or is on hold, is waited for; a session that does not begin
though it could is given up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from voiceagent.errors import CallEnded
from voiceagent.flags import Flag
from voiceagent.ivr.ports import Line
from voiceagent.ivr.verbs.wording import verbatim
from voiceagent.realtime.requests import BargePolicy, Outcome

if TYPE_CHECKING:
    from voiceagent.call.call import Call

TRIES = 3
"""How often a sentence is said to a caller who speaks into it."""
LOOK_S = 0.1
"""How often it is looked whether the caller keeps the sentence waiting."""

Run = Callable[[str, Coroutine[Any, Any, Any]], asyncio.Task[Any]]


async def heard_whole(
    call: Call,
    speak: Callable[[Callable[[], None]], Awaitable[Outcome]],
    *,
    begin_limit_s: float,
    limit_s: float,
    run: Run,
    stop: asyncio.Future[None] | None = None,
) -> bool:
    """Have a sentence said; True when it was heard whole.

    ``speak`` says it, and calls what it is given when that is heard. ``begin_limit_s``: how long the session
    may keep everybody waiting; ``limit_s``: all of it. ``stop`` is done when nobody is to wait any more.
    """
    now = asyncio.get_running_loop().time
    audible = Flag()
    saying = run("last sentence", _said(speak, audible))
    waits: set[asyncio.Future[Any]] = {saying} if stop is None else {saying, stop}
    end, wanted_s = now() + limit_s, 0.0
    try:
        while not saying.done() and not (stop is not None and stop.done()):
            await asyncio.wait(waits, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
            if not audible.is_set() and not call.away and call.floor == "nobody":
                wanted_s += LOOK_S
            if wanted_s > begin_limit_s or now() > end:
                break
        if not saying.done() or saying.cancelled():
            return False
        outcome: Outcome | None = saying.result()
        return outcome is not None and outcome.completed
    finally:
        saying.cancel()


async def said_word_for_word(
    call: Call,
    sentence: str,
    *,
    begin_limit_s: float,
    limit_s: float,
    run: Run,
    stop: asyncio.Future[None],
) -> bool:
    """Have the model say ``sentence`` as it stands; True when it was heard whole."""
    speech = call.speech
    assert speech is not None
    line = Line(verbatim(sentence), interruptible=False, barge_policy=BargePolicy.REQUEUE)
    return await heard_whole(
        call,
        lambda audible: speech.speak(line, audible),
        begin_limit_s=begin_limit_s,
        limit_s=limit_s,
        run=run,
        stop=stop,
    )


async def _said(speak: Callable[[Callable[[], None]], Awaitable[Outcome]], audible: Flag) -> Outcome | None:
    outcome = None
    try:
        for _ in range(TRIES):
            audible.clear()
            outcome = await speak(audible.set)
            if not outcome.interrupted:
                break
    except CallEnded:
        return None
    return outcome
