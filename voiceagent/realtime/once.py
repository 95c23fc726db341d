"""PURE. Equal ids and words of frames as one string: what is kept of a call names some of them many times.

Not ``sys.intern``: in Python 3.12 a string that it has seen is never freed.
"""

from __future__ import annotations

from functools import lru_cache

KEPT = 2048
LONGEST = 64
"""Characters; a longer one is nobody's usual id, and is not kept after those who hold it."""


def once(text: str) -> str:
    """Return the string equal to ``text`` that was given before, if it is remembered, else ``text``."""
    return _given(text) if len(text) <= LONGEST else text


@lru_cache(maxsize=KEPT)
def _given(text: str) -> str:
    return text
