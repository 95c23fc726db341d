"""Who hears of a journal's entries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voiceagent.records.journal import Journal


def test_taps_hear_what_they_asked_for_also_when_one_joins_later() -> None:
    journal = Journal(None, None)
    heard: dict[str, list[str]] = {"all": [], "outer": [], "kinds": [], "late": []}

    def into(name: str) -> Any:
        def take(entry: Mapping[str, Any]) -> None:
            heard[name].append(entry["type"])

        return take

    journal.tap(into("all"))
    journal.tap(into("outer"), inner=False)
    journal.tap(into("kinds"), kinds={"tool.ended", "in.frame"})
    for kind in ("in.frame", "link.sent", "tool.ended", "call.state"):
        journal.write(kind)
    journal.tap(into("late"), inner=False, kinds={"call.state", "in.frame"})
    for kind in ("call.state", "in.frame"):
        journal.write(kind)

    assert heard == {
        "all": ["in.frame", "link.sent", "tool.ended", "call.state", "call.state", "in.frame"],
        "outer": ["tool.ended", "call.state", "call.state"],
        "kinds": ["in.frame", "tool.ended", "in.frame"],
        "late": ["call.state"],
    }
