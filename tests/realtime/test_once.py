"""Equal ids are one string, and none is kept for ever."""

from __future__ import annotations

import tracemalloc

from voiceagent.realtime.once import KEPT, LONGEST, once


def text(n: int) -> str:
    return f"item_{n:020}"


def test_equal_texts_are_one_string() -> None:
    first, second = text(1), text(1)
    assert first is not second
    assert once(first) is once(second)


def test_what_a_provider_makes_up_is_not_kept() -> None:
    for n in range(KEPT):
        once(text(n))
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for n in range(KEPT, 4 * KEPT):
            once(text(n))
        once("x" * 1_000_000)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < KEPT * 300
    long = "x" * (LONGEST + 1)
    assert once(long) is long
