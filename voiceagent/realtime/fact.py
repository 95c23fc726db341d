"""PURE. The decorator of the room's events: dataclasses that nobody changes, made as cheaply as others are.

A frozen dataclass sets each of its fields by a call of ``object.__setattr__``, which doubles the price of
making one, and several are made for each frame of a provider. So type checkers see these types as frozen, and
nothing guards them at run time: whoever gets a fact shares it with others and must not write to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def fact(cls: type[T]) -> type[T]:
    """Make ``cls`` a dataclass with slots that compares and hashes by its fields."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
