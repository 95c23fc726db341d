"""PURE. What one session description may cost us. A value equal to the limit is accepted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SdpLimits:
    """Limits of the SDP reader; over ``size`` the status is 413, over any other 400."""

    size: int = 16_384
    """Bytes of one session description."""
    lines: int = 1_024
    """Lines of any kind."""
    media: int = 8
    """``m=`` lines."""
    payload_types: int = 64
    """Formats of one ``m=`` line."""
    attributes: int = 256
    """``a=`` lines, all levels together."""
    int_digits: int = 10
    """Digits of any integer, looked at before conversion."""


DEFAULT = SdpLimits()
