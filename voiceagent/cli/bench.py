"""Runs a bench and prints its figures."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from voiceagent.cli.run import fail_with, show_json
from voiceagent.errors import VoiceAgentError


def report(
    name: str,
    measure: Callable[[], Mapping[str, Any]],
    *,
    as_json: bool,
    hidden: Collection[str] = (),
    show: Callable[[Mapping[str, Any]], str] | None = None,
) -> None:
    """Run ``measure`` and print what it found, as ``show`` puts it; the JSON has what is ``hidden``, too."""
    try:
        figures = measure()
    except VoiceAgentError as error:
        fail_with(error, as_json=as_json)
    if as_json:
        show_json(figures)
        return
    print(f"bench {name}")
    if show is not None:
        print(show(figures))
        return
    _lines(figures, "  ", hidden)


def _lines(figures: Mapping[str, Any], indent: str, hidden: Collection[str]) -> None:
    figures = {key: value for key, value in figures.items() if key not in hidden}
    width = max((len(key) for key in figures), default=0)
    for key, value in figures.items():
        if isinstance(value, Mapping):
            print(f"{indent}{key}")
            _lines(value, indent + "  ", hidden)  # pyright: ignore[reportUnknownArgumentType]
        else:
            shown = f"{value:,.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else value
            print(f"{indent}{key.ljust(width)}  {shown}")
