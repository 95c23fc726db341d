"""PURE. The tokens of one response, out of ``response.done``'s ``usage`` object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

_DETAILS = {"input": "input_token_details", "output": "output_token_details"}


def tokens_of(usage: Mapping[str, Any]) -> dict[str, int]:
    """Return the tokens by kind: ``input_text``, ``input_audio``, ``input_cached`` (counted among the former
    two as well), ``output_text``, ``output_audio``; ``input`` and ``output`` where no details are told.

    Kinds of which there are none, and whatever is not a whole number, are left out.
    """
    counts: dict[str, int] = {}
    for side, name in _DETAILS.items():
        found = usage.get(name)
        details = cast("Mapping[str, Any]", found if isinstance(found, Mapping) else {})
        for part in ("text", "audio", "cached"):
            counts[f"{side}_{part}"] = _count(details.get(f"{part}_tokens"))
        if not counts[f"{side}_text"] and not counts[f"{side}_audio"]:
            counts[side] = _count(usage.get(f"{side}_tokens"))
    return {kind: count for kind, count in counts.items() if count}


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
