"""The virtual clock for tests (see :mod:`voiceagent.simulate.virtual_loop`).

Three ways to use it::

    result = virtual_run(coroutine)            # like asyncio.run

    @virtual                                   # an async test (fixtures may be arguments)
    async def test_something(): ...

    @pytest.fixture                            # in a conftest.py: every async test of that folder
    def event_loop_policy(): return VirtualTimePolicy()
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from voiceagent.simulate.virtual_loop import (
    START,
    VirtualDeadlock,
    VirtualTimeLoop,
    VirtualTimePolicy,
    virtual_run,
)

__all__ = [
    "START",
    "VirtualDeadlock",
    "VirtualTimeLoop",
    "VirtualTimePolicy",
    "eventually",
    "settle",
    "virtual",
    "virtual_run",
]

T = TypeVar("T")
P = ParamSpec("P")


def virtual(test: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Make an async test run on a virtual loop."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return virtual_run(test(*args, **kwargs))

    return run


async def settle(turns: int = 20) -> None:
    """Let everything that is ready run, without moving the clock."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def eventually(
    condition: Callable[[], object], *, within_s: float = 10.0, step_s: float = 0.005
) -> None:
    """Wait in loop time until ``condition()`` is true; fail after ``within_s``."""
    loop = asyncio.get_running_loop()
    end = loop.time() + within_s
    while not condition():
        assert loop.time() < end, f"did not happen within {within_s} s"
        await asyncio.sleep(step_s)
