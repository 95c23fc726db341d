"""What the demonstration measures, draws and writes."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voiceagent.phone.ladder import Ladder
from voiceagent.realtime.sequencer_io import (
    PlaybackEnded,
    PlaybackStarted,
    ResponseCreated,
    ResponseDone,
    SendCancel,
    SendCreate,
    Settled,
    Submitted,
)

PHONE, SERVICE, MODEL = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that had to happen."""

    name: str
    ok: bool
    detail: str


class Checks:
    """What had to happen, and whether it did."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.all: list[Check] = []
        self.barge_in_stop_ms: float | None = None
        self._say = say

    def passed(self, name: str, detail: str) -> None:
        """It happened."""
        self.check(name, True, detail)

    def check(self, name: str, ok: bool, detail: str) -> None:
        """It happened if ``ok``."""
        self.all.append(Check(name, ok, detail))

    def barged(self, seconds: float) -> None:
        """The agent fell silent ``seconds`` after the caller began to speak over it."""
        self.barge_in_stop_ms = round(seconds * 1000, 1)
        self.check("barge-in", seconds < 1.5, f"the agent fell silent after {self.barge_in_stop_ms:.0f} ms")


class LadderTap:
    """Draws the call's journal and the phone's notes into one ladder, and counts overlaps."""

    def __init__(self, ladder: Ladder, *, hosted: bool = False) -> None:
        """``hosted``: the phone talks to the model's side, which offers the call to the service."""
        self._ladder = ladder
        self._hosted = hosted
        self.call_id = ""
        self.kind = ""
        """``direct`` or ``hosted``, as the service saw it."""
        self.outcome: dict[str, Any] = {}
        self.recognised: list[str] = []
        self.overlaps = 0
        self.requests: dict[str, dict[str, Any]] = {}
        self._alive: set[str] = set()
        self._audible: set[str] = set()
        self._lines: dict[str, str] = {}

    @property
    def wanted_kind(self) -> str:
        """What kind of call it has to be."""
        return "hosted" if self._hosted else "direct"

    def phone(self, now: float, direction: str, label: str) -> None:
        """A note of the phone's."""
        far = MODEL if self._hosted else SERVICE
        source, target = {"out": (PHONE, far), "in": (far, PHONE)}.get(direction, (PHONE, PHONE))
        self._ladder.tell(now, source, target, label)

    def __call__(self, entry: Mapping[str, Any]) -> None:
        """An entry of the call's journal."""
        match entry["type"]:
            case "call.offered":
                self.call_id, self.kind = entry["call_id"], entry["kind"]
                if self._hosted:
                    self._draw(MODEL, SERVICE, "webhook: call.incoming")
            case "sequencer":
                self._sequencer(entry["body"])
            case "caller.speech_started":
                self._draw(MODEL, SERVICE, "speech_started")
            case "caller.said":
                if entry["text"]:
                    self.recognised.append(entry["text"])
                self._draw(MODEL, SERVICE, f'heard "{entry["text"]}"')
            case "caller.digit":
                self._draw(SERVICE, SERVICE, f"digit {entry['digit']}")
            case "tool.called":
                self._draw(MODEL, SERVICE, f"call {entry['tool']} {entry['arguments']}")
            case "tool.ended":
                self._draw(SERVICE, MODEL, f"result of {entry['tool']}")
            case "operator.trigger":
                self._draw(SERVICE, SERVICE, "operator's trigger over HTTP")
            case "call.ended":
                self.outcome = {key: entry[key] for key in ("outcome", "reason", "duration_s", "barge_ins")}
                self._draw(SERVICE, SERVICE, f"call ended: {entry['outcome']} ({entry['reason']})")
            case _:
                return

    def _sequencer(self, step: object) -> None:
        match step:
            case Submitted(request):
                self.requests[request.id] = {
                    "request_id": request.id,
                    "origin": request.origin.value,
                    "instructions": request.instructions,
                    "outcome": None,
                    "heard_ms": 0,
                    "heard_text": "",
                }
            case SendCreate(request):
                self._draw(SERVICE, MODEL, f"response.create ({request.origin.value})")
            case SendCancel():
                self._draw(SERVICE, MODEL, "response.cancel")
            case ResponseCreated(response_id, out_of_band=False):
                self.overlaps += bool(self._alive)
                self._alive.add(response_id)
                self._draw(MODEL, SERVICE, "response.created")
            case ResponseDone(response_id, status):
                self._alive.discard(response_id or "")
                self._draw(MODEL, SERVICE, f"response.done ({status})")
            case PlaybackStarted(response_id):
                self.overlaps += bool(self._audible - {response_id})
                self._audible.add(response_id)
            case PlaybackEnded(response_id, heard_ms, cut=cut):
                self._audible.discard(response_id)
                self._draw(SERVICE, SERVICE, f"{'cut' if cut else 'heard'} after {heard_ms / 1000:.2f} s")
            case Settled(request_id, outcome):
                entry = self.requests.setdefault(request_id, {"request_id": request_id})
                entry["outcome"] = outcome.kind.value
                entry["heard_ms"] = outcome.heard_ms
                entry["heard_text"] = outcome.heard_text
            case _:
                return

    def _draw(self, source: int, target: int, label: str) -> None:
        self._ladder.tell(asyncio.get_running_loop().time(), source, target, label)


def summary_of(tap: LadderTap, checks: Checks, call: Any, seconds: float) -> dict[str, Any]:
    """Return the demonstration's summary; ``ok`` is true only when everything happened."""
    if tap.wanted_kind == "hosted":
        checks.check(
            "offered by webhook, answered by the provider", tap.kind == "hosted", tap.kind or "never"
        )
    responses = list(tap.requests.values())
    kinds = [response["outcome"] for response in responses]
    checks.check("no two responses at once", tap.overlaps == 0, f"{tap.overlaps} overlaps")
    checks.check(
        "every request has one outcome",
        None not in kinds and bool(kinds),
        f"{len(kinds)} requests: {_counts(kinds)}",
    )
    checks.check("a reply was cut by the caller", "interrupted" in kinds, "barge-in seen by the sequencer")
    spoken = " ".join(response["heard_text"] for response in responses)
    checks.check("the tool's result was spoken", "42 euros" in spoken, "the balance was heard")
    checks.check("the caller was understood", "billing" in " ".join(tap.recognised), f"{tap.recognised}")
    checks.check(
        "one outcome for the call",
        tap.outcome.get("outcome") == "success",
        str(tap.outcome.get("reason", "none")),
    )
    return {
        "ok": all(check.ok for check in checks.all),
        "outcome": tap.outcome.get("outcome"),
        "reason": tap.outcome.get("reason"),
        "call_id": tap.call_id,
        "kind": tap.kind,
        "duration_s": tap.outcome.get("duration_s"),
        "recorded_s": round(seconds, 2),
        "setup_ms": call.figures.setup_ms if call is not None else None,
        "first_audio_ms": call.figures.first_audio_ms if call is not None else None,
        "barge_in_stop_ms": checks.barge_in_stop_ms,
        "overlaps": tap.overlaps,
        "recognised": tap.recognised,
        "responses": responses,
        "checks": [{"name": check.name, "ok": check.ok, "detail": check.detail} for check in checks.all],
    }


def write_outputs(out: Path, ladder: Ladder, journals: Path, summary: Mapping[str, Any]) -> None:
    """Leave ladder, journal and summary in ``out``."""
    (out / "ladder.txt").write_text(ladder.text(), encoding="utf-8")
    (out / "summary.json").write_text(
        json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    for journal in sorted(journals.glob("*.jsonl")):
        shutil.copyfile(journal, out / "journal.jsonl")


def _counts(kinds: list[str]) -> str:
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
