"""What a call has others do: tools, fetched data. The results are inputs of the call, as is what is said.

Keys name the work within the call: ``tool:NAME:TOOL_CALL_ID`` and ``fetch:NAME:N``, where N counts the
fetches of that name from 1. :func:`as_json` and :func:`as_kind` are how a result gets into a journal and out
of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python


class Outside(Protocol):
    """Runs work of others under a key that names it within the call; a replay answers from the journal.

    Work returns whatever the function returned, or raises what it raised. ``kind`` is the type that the
    result has, where that is known.
    """

    async def __call__(self, key: str, work: Callable[[], Awaitable[Any]], *, kind: Any = None) -> Any: ...


async def directly(key: str, work: Callable[[], Awaitable[Any]], *, kind: Any = None) -> Any:
    """Run ``work`` and write nothing down."""
    return await work()


def as_json(result: object) -> Any:
    """Return ``result`` as plain JSON values: models, dates and the like as pydantic writes them."""
    return to_jsonable_python(result, fallback=str, inf_nan_mode="null")


def as_kind(value: Any, kind: Any) -> Any:
    """Return a value of :func:`as_json` as ``kind`` again; as it is where ``kind`` is None or Any.

    Raises ValueError (pydantic's) when it does not fit.
    """
    return value if kind is None or kind is Any else TypeAdapter[Any](kind).validate_python(value)
