"""Tokens for the shells. Pure cores get such a function through their constructor."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from hashlib import blake2b

Tokens = Callable[[], str]
"""A source of unique tokens: 16 lower-case hex digits, unguessable in production, counted in tests."""


def random_token() -> str:
    """Return 64 random bits as 16 hex digits (RFC 3261 §19.3 asks for at least 32)."""
    return secrets.token_hex(8)


def counted_tokens(prefix: str = "t") -> Tokens:
    """Return a repeatable token source for tests and simulations."""
    count = 0

    def token() -> str:
        nonlocal count
        count += 1
        return f"{prefix}{count:06d}"

    return token


def seeded_tokens(seed: str, name: str) -> Tokens:
    """Return a source of tokens that gives the same ones for the same ``seed`` and ``name``.

    For ids that are no secrets and that a replay has to draw again. Whoever knows the seed knows them all.
    """
    key, count = f"{seed}/{name}".encode()[:64], 0

    def token() -> str:
        nonlocal count
        count += 1
        return blake2b(count.to_bytes(8), digest_size=8, key=key).hexdigest()

    return token


def seeded_chance(seed: str, name: str) -> Callable[[], float]:
    """Return a source of numbers 0 ≤ x < 1 that is as repeatable as :func:`seeded_tokens`."""
    token = seeded_tokens(seed, name)
    return lambda: int(token(), 16) / 2**64
