"""PURE. Reading the steps of the sequencer: dataclasses in a live call's journal, objects in a file."""

from __future__ import annotations

import math
from typing import Any


def field_of(body: object, name: str) -> Any:
    """Return a field of a step; None where it has none of that name."""
    return body.get(name) if isinstance(body, dict) else getattr(body, name, None)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def text_of(body: object, name: str) -> str:
    """Return a field that is a text; empty where it is none."""
    # Not by field_of: the steps of all live calls are read.
    value: object = body.get(name) if isinstance(body, dict) else getattr(body, name, None)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return value if isinstance(value, str) else ""


def number(value: object, otherwise: float = 0.0) -> float:
    """Return ``value`` if it is a finite number."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else otherwise
