"""PURE. How often: a token bucket per key, bounded in memory."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict

KEYS = 1024
"""Keys remembered; the longest unused one is forgotten first (and so starts full again)."""


def network_of(address: str) -> str:
    """Return what to count an address by: of IPv6 its /64, as whoever has one address there has all."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(found) >> 64 << 64)) + "/64"


class RateLimit:
    """Allows ``per_s`` acts per second for each key, and ``burst`` at once."""

    def __init__(self, per_s: float, burst: float) -> None:
        self.per_s = per_s
        self.burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, now: float) -> float:
        """Take one act; return 0.0 when it is allowed, else the seconds until the next one is."""
        left, since = self._buckets.pop(key, (self.burst, now))
        left = min(self.burst, left + max(0.0, now - since) * self.per_s)
        allowed = left >= 1.0
        self._buckets[key] = (left - 1.0 if allowed else left, now)
        if len(self._buckets) > KEYS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1.0 - left) / self.per_s
