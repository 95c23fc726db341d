"""What only the garbage collector would free: nothing of ours, a full turn of it would stop all calls."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def no_collector() -> Iterator[None]:
    """The collector turns when it is told to, not before: what it would find by chance stays to be found."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def left_to_the_collector(*modules: str) -> Counter[str]:
    """Return how many objects of each type refer to themselves and to nothing that lives; they are freed.

    ``modules`` are beginnings of the names of modules whose types count; without any, all types do.
    """
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    gc.set_debug(0)
    kinds: list[type[Any]] = [type(one) for one in gc.garbage]
    gc.garbage.clear()
    gc.collect()
    return Counter(
        f"{kind.__module__}.{kind.__qualname__}"
        for kind in kinds
        if not modules or kind.__module__.startswith(modules)
    )
