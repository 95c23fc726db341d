"""What is left of a journal whose words are not to be kept: that there was a call, when, and how it ended.

The stub is a journal like any other, so a database that is made anew from the journals has the call, and
nothing else of it. Its first entry is ``call.erased``.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from voiceagent.records.states import write_whole

ERASED = "call.erased"
_MARK = b'"type":"' + ERASED.encode() + b'"'
_WORD = re.compile(r"[a-z][a-z_]{0,39}")

Why = Literal["retention", "erasure"]

_OFFERED = ("call_id", "kind", "direction", "flow", "started_at", "node", "provider", "trunk")
_ANSWERED = ("answered_at", "setup_s")
_ENDED = (
    "outcome",
    "status",
    "duration_s",
    "ended_at",
    "barge_ins",
    "longest_gap_s",
    "first_words_s",
)
_RECORDED = ("name", "file", "began_s", "seconds", "bytes", "sha256", "dropped_s")
_BESIDE: Mapping[str, tuple[str, ...]] = {
    "call.party_changed": ("caller", "called"),
    "operator.tag": ("tags", "operator"),
    "recording.started": _RECORDED,
    "recording.finished": _RECORDED,
    "recording.failed": _RECORDED,
}
"""What stays besides, where numbers do."""


@dataclass(frozen=True, slots=True)
class Stubbed:
    """A journal that has been replaced."""

    call_id: str
    bytes: int
    sha256: str
    """Of what stood there before."""


def stub_of(
    entries: Iterable[Mapping[str, Any]], *, why: Why, at: float, numbers: bool
) -> list[dict[str, Any]]:
    """PURE. Return the entries that stay. ``numbers``: also who called whom, and what was recorded."""
    kept: list[dict[str, Any]] = [{"type": ERASED, "t": 0.0, "at": at, "why": why, "erased_at": at}]
    for entry in entries:
        fields = _kept(entry, numbers)
        if fields is not None:
            if len(kept) == 1:
                kept[0]["at"] = entry.get("at", at)
            times = {name: entry[name] for name in ("t", "at") if name in entry}
            kept.append({"type": entry["type"], **times, **fields})
    return [{"v": 1, "seq": n, **entry} for n, entry in enumerate(kept, 1)]


def _kept(entry: Mapping[str, Any], numbers: bool) -> dict[str, Any] | None:
    kind = str(entry.get("type"))
    if kind == "call.offered":
        found = _some(entry, _OFFERED)
        parties = {name: entry.get(name, "") if numbers else "" for name in ("caller", "called")}
        return {**found, **parties}
    if kind == "call.answered":
        return _some(entry, _ANSWERED)
    if numbers and kind in _BESIDE:
        return _some(entry, _BESIDE[kind])
    if kind == "call.ended":
        reason = str(entry.get("reason", ""))
        media: Any = entry.get("media")
        return {
            **_some(entry, _ENDED),
            "reason": reason if numbers else plain_reason(reason),
            "detail": "",
            "media": (media or {}) if numbers else figures_of(media),
        }
    return None


def plain_reason(reason: str) -> str:
    """PURE. Return a reason if it is a name of ours: what flows and peers give may be anybody's words."""
    return reason if _WORD.fullmatch(reason) else ""


def _some(entry: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: entry[name] for name in names if name in entry}


def figures_of(media: object) -> dict[str, Any]:
    """PURE. Return the numbers among figures, and nothing that is text."""
    found: dict[str, Any] = {}
    if isinstance(media, Mapping):
        for name, value in cast("Mapping[str, Any]", media).items():
            if isinstance(value, Mapping):
                found[name] = figures_of(cast("Mapping[str, Any]", value))
            elif isinstance(value, int | float):
                found[name] = value
    return found


def is_stub(path: Path) -> bool:
    """Return whether a journal has been replaced already. Raises OSError."""
    with path.open("rb") as file:
        return _MARK in file.readline(2000)


def entries_in(body: bytes) -> Iterator[Mapping[str, Any]]:
    """Yield every line that is a JSON object; torn ones are passed over."""
    for line in body.split(b"\n"):
        try:
            entry: object = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict):
            yield cast("Mapping[str, Any]", entry)


def replace_journal(path: Path, *, why: Why, at: float, numbers: bool) -> Stubbed:
    """Put the stub in a journal's place, at one stroke; its times stay. Only for a call that has ended.

    Raises OSError.
    """
    body, about = path.read_bytes(), path.stat()
    kept = stub_of(entries_in(body), why=why, at=round(at, 3), numbers=numbers)
    text = "".join(json.dumps(one, ensure_ascii=False, separators=(",", ":")) + "\n" for one in kept)
    write_whole(path, text.encode("utf-8", "backslashreplace"))
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    call_id = next((str(one["call_id"]) for one in kept if "call_id" in one), path.stem)
    return Stubbed(call_id, len(body), hashlib.sha256(body).hexdigest())
