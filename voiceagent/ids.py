"""Tokens for the shells. Pure cores get such a function through their constructor."""

from __future__ import annotations

import secrets
from collections.abc import Callable

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
