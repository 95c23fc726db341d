"""Runs a bench and prints its figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from voiceagent.cli.run import fail_with, show_json
from voiceagent.errors import VoiceAgentError


def report(name: str, measure: Callable[[], Mapping[str, Any]], *, as_json: bool) -> None:
    """Run ``measure`` and print what it found."""
    try:
        figures = measure()
    except VoiceAgentError as error:
        fail_with(error, as_json=as_json)
    if as_json:
        show_json(figures)
        return
    print(f"bench {name}")
    _lines(figures, "  ")


def _lines(figures: Mapping[str, Any], indent: str) -> None:
    width = max((len(key) for key in figures), default=0)
    for key, value in figures.items():
        if isinstance(value, Mapping):
            print(f"{indent}{key}")
            _lines(value, indent + "  ")  # pyright: ignore[reportUnknownArgumentType]
        else:
            shown = f"{value:,.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else value
            print(f"{indent}{key.ljust(width)}  {shown}")
