"""The story of a call in words: what was asked for, what it waited for, what was heard, how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from voiceagent.replay.asked import Requests
from voiceagent.replay.happenings import Happenings
from voiceagent.replay.summary import Summary
from voiceagent.replay.telling import Told
from voiceagent.replay.timeline import Timeline
from voiceagent.replay.trace import read_lines
from voiceagent.replay.turns import Line


@dataclass(frozen=True, slots=True)
class Account:
    """The whole story, and its head."""

    summary: Summary
    told: list[Told]
    timeline: Timeline


def account_of(entries: Iterable[Mapping[str, Any]]) -> Account:
    """Return the account of a call from its journal's entries."""
    line, happenings, timeline = Line(), Happenings(), Timeline()
    requests = Requests(line)
    told: list[Told] = []
    offer: Mapping[str, Any] = {}
    end: Mapping[str, Any] = {}
    t = 0.0
    for entry in entries:
        kind = entry.get("type")
        if not isinstance(kind, str):
            continue
        t = float(entry.get("t", 0.0))
        timeline.take(entry)
        event = str(entry.get("event", ""))
        body: Mapping[str, Any] = (entry.get("body") or {}) if kind == "sequencer" else {}
        told.extend(line.take(kind, event, body, t))
        if kind == "sequencer":
            told.extend(requests.take(event, body, t))
            continue
        if kind == "call.offered":
            offer = entry
        elif kind == "call.ended":
            end = entry
        elif kind == "operator.trigger":
            requests.triggered(str(entry.get("request_id")), str(entry.get("operator", "")))
            told.append(
                Told(
                    t,
                    f"{entry.get('operator')} triggers {requests.name(entry.get('request_id'))}",
                    "operator",
                )
            )
        elif kind == "leg.ended":
            requests.closing = True
        for one in happenings.take(entry, t):
            _add(told, one)
    return Account(Summary(offer, end, t, line, requests, happenings), told, timeline)


def _add(told: list[Told], one: Told) -> None:
    """Add a line; keys in a row become one."""
    keys = one.facts.get("keys")
    if keys and told and told[-1].facts.get("keys"):
        both = f"{told[-1].facts['keys']}{keys}"
        told[-1] = replace(told[-1], text=f"the caller pressed {both}", facts={"keys": both})
    else:
        told.append(one)


def explain(path: Path) -> Account:
    """Return the account. Raises :class:`~voiceagent.replay.trace.JournalError` if it cannot be read."""
    return account_of(line.entry for line in read_lines(path))


def explain_journal(path: Path) -> list[Told]:
    """Return the lines of the account alone. Raises like :func:`explain`."""
    return explain(path).told
