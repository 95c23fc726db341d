"""What the flow in ``shop.toml`` calls."""

from __future__ import annotations

BALANCES = {"481516": "42 euros", "234200": "overdue"}


async def balance(account: str) -> str:
    """Return what is in an account."""
    return BALANCES[account]


def blocking(account: str) -> str:
    """Not async: no flow may call it."""
    return account
