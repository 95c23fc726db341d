"""The story of a call in words: what was asked for, what it waited for, what was heard, how it ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voiceagent.replay.notices import notice_in_words
from voiceagent.replay.trace import read_lines

TEXT_CHARS = 72
_QUIET = frozenset({"closed", "digit", "duplicate_request", "error_not_ours"})
"""Notices that say what another line says already, or that nobody asks about."""


@dataclass(frozen=True, slots=True)
class Told:
    """One line of the account: seconds since the call began, and what happened."""

    t: float
    text: str


@dataclass(slots=True)
class _Wish:
    name: str
    asked: float
    attempts: int = 0
    audible: bool = False


@dataclass(slots=True)
class _Story:
    wishes: dict[str, _Wish] = field(default_factory=dict[str, _Wish])
    by_response: dict[str, str] = field(default_factory=dict[str, str])

    def name(self, request_id: object, response_id: object = None) -> str:
        """Return what a request is called in the account: its number and who asked."""
        known = self.wishes.get(str(request_id or self.by_response.get(str(response_id), "")))
        if known is not None:
            return known.name
        return "a response of the provider's" if response_id else "the sequencer"

    def sequencer(self, event: str, body: Mapping[str, Any], t: float) -> Iterator[str]:
        match event:
            case "Submitted":
                request = body["request"]
                if request["id"] in self.wishes:
                    return
                name = f"#{len(self.wishes) + 1} ({request.get('origin', '?')})"
                self.wishes[request["id"]] = _Wish(name, t)
                yield f"{name} is asked for: {_quote(request.get('instructions') or 'a plain reply')}"
            case "SendCreate":
                wish = self.wishes.get(body["request"]["id"])
                if wish is not None:
                    wish.attempts += 1
                    waited = t - wish.asked
                    again = f", attempt {wish.attempts}" if wish.attempts > 1 else ""
                    after = f" after {waited:.2f} s" if waited >= 0.005 else " at once"
                    yield f"{wish.name} goes to the model{after}{again}"
            case "Progressed":
                yield from self._progressed(body, t)
            case "StopPlayback":
                yield f"{self.name(None, body['response_id'])} is silenced"
            case "SendCancel":
                if body.get("response_id"):
                    yield f"{self.name(None, body['response_id'])} is cancelled"
            case "Notice":
                code: str = body["code"]
                details: Mapping[str, Any] = body.get("details") or {}
                if code not in _QUIET:
                    who = self.name(body.get("request_id"), body.get("response_id"))
                    words = notice_in_words(code, str(details.get("reason", "")))
                    yield f"{who} {words}" if code == "held" else f"{who}: {words}"
            case "Settled":
                yield self._settled(body)
            case "LinkDown":
                yield f"the connection to the provider is lost: {body.get('reason', '')}"
            case "InterruptAsked":
                yield f"silence is asked for by {body.get('by', 'somebody')}"
            case _:
                return

    def _progressed(self, body: Mapping[str, Any], t: float) -> Iterator[str]:
        wish = self.wishes.get(body["request_id"])
        if wish is None:
            return
        if body["progress"] == "started" and body.get("response_id"):
            self.by_response[body["response_id"]] = body["request_id"]
        elif body["progress"] == "audible" and not wish.audible:
            wish.audible = True
            yield f"{wish.name} is heard, {t - wish.asked:.2f} s after it was asked for"

    def _settled(self, body: Mapping[str, Any]) -> str:
        outcome = body["outcome"]
        text = f"{self.name(body['request_id'])} {outcome['kind']}"
        if outcome.get("by"):
            text += f" by {outcome['by']}"
        heard = outcome.get("heard_ms") or 0
        if heard:
            text += f" after {heard / 1000:.1f} s: {_quote(outcome.get('heard_text') or '')}"
        elif outcome["kind"] == "completed":
            text += ", nothing to hear"
        if outcome.get("code"):
            text += f" ({outcome['code']})"
        elif outcome.get("other"):
            text += f" ({self.name(outcome['other'], outcome['other'])})"
        return text


def _quote(text: str) -> str:
    """Return the last paragraph of a text, shortened: the standing prompt comes before it."""
    last = text.strip().rpartition("\n\n")[2].replace("\n", " ")
    if len(last) > TEXT_CHARS:
        last = last[: TEXT_CHARS - 1].rstrip() + "…"
    return f"“{last}”" if last else "nothing"


def _other(entry: Mapping[str, Any]) -> str:
    match entry["type"]:
        case "call.offered":
            return (
                f"{entry.get('kind', '')} call {entry.get('call_id')}: {entry.get('caller')} calls "
                f"{entry.get('called')}, flow {entry.get('flow')}"
            )
        case "caller.speech_started":
            return "the caller begins to speak"
        case "caller.said":
            text = str(entry.get("text") or "")
            return f"the caller said {_quote(text)}" if text else "nothing of it was understood"
        case "caller.digit":
            return f"the caller pressed {entry.get('digit')}"
        case "tool.called":
            return f"the model calls the tool {entry.get('tool')} {entry.get('arguments')}"
        case "tool.ended":
            return f"the tool {entry.get('tool')} {'answered' if entry.get('ok') else 'failed'}"
        case "operator.trigger":
            return f"{entry.get('operator')} triggers a response"
        case "provider.lost" | "provider.error" | "flow.failed" | "task.failed" | "close.failed":
            about = entry.get("reason") or entry.get("message") or entry.get("error")
            return f"{entry['type'].replace('.', ' ')}: {about}"
        case "call.ended":
            return (
                f"the call ended: {entry.get('outcome')} ({entry.get('reason')}, {entry.get('duration_s')} s)"
            )
        case _:
            return ""


def explain_journal(path: Path) -> list[Told]:
    """Return the account. Raises :class:`~voiceagent.replay.trace.JournalError` if it cannot be read."""
    story = _Story()
    told: list[Told] = []
    for line in read_lines(path):
        entry = line.entry
        t = float(entry.get("t", 0.0))
        if entry.get("type") == "sequencer":
            body: Mapping[str, Any] = entry.get("body") or {}
            told.extend(Told(t, text) for text in story.sequencer(str(entry.get("event")), body, t))
        elif isinstance(entry.get("type"), str):
            text = _other(entry)
            if text:
                told.append(Told(t, text))
    return told
