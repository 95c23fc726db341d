"""A call that ends politely lets what was promised be said to its end, within reason."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from voiceagent.call.speech import CallSpeech


async def last_words(
    speech: CallSpeech,
    hurry: asyncio.Future[None],
    run: Callable[[str, Coroutine[Any, Any, Any]], asyncio.Task[Any]],
    limit_s: float,
) -> bool:
    """Wait until nothing that was accepted is still unspoken; False when ``limit_s`` came first.

    ``hurry`` is done when nobody is to wait any more.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit_s
    while not hurry.done():
        waiting = speech.unfinished()
        if not waiting:
            break
        left = deadline - loop.time()
        if left <= 0:
            for one in waiting:
                one.close()
            return False
        tasks = [run("last words", one) for one in waiting]
        try:
            await asyncio.wait({*tasks, hurry}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
    return True
