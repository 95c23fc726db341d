"""What the console asks of a node that can be drained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Drain(Protocol):
    """One node's way out."""

    def begin(self, by: str, limit_s: float | None = None) -> None:
        """Take no new calls; end once the running ones have, or after ``limit_s``, with a goodbye to each.

        A later wish with another limit changes the limit.
        """
        ...

    def resume(self, by: str) -> bool:
        """Take calls again; False when the goodbyes have begun."""
        ...

    def view(self) -> Mapping[str, Any]:
        """``state`` (serving, draining, goodbye, drained), ``calls``, ``limit_in_s`` (number or None), and
        ``epoch``, which names this run of the node.
        """
        ...
