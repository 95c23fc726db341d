"""What a call has others do: tools, fetched data. The results are inputs of the call, as is what is said."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol


class Outside(Protocol):
    """Runs work of others under a key that names it within the call; a replay answers from the journal."""

    async def __call__(self, key: str, work: Callable[[], Awaitable[Any]]) -> Any: ...


async def directly(key: str, work: Callable[[], Awaitable[Any]]) -> Any:
    """Run ``work`` and write nothing down."""
    return await work()
