"""One finding of the doctor."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One part, whether it is well, and what to do if not."""

    part: str
    ok: bool
    detail: str
