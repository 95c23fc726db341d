"""PURE. A simulated call for people: the transcript with its times, the verdict, and the summary of many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from voiceagent.simulate.engine import SimResult
from voiceagent.simulate.record import Event, Speech

_QUIET = frozenset({"turn", "tool_ended"})
_WHO = {
    "agent": "agent",
    "caller": "caller",
    "keys": "keys",
    "operator": "operator",
    "step": "step",
    "tool": "tool",
    "line": "line",
    "transfer": "transfer",
    "hold": "hold",
    "note": "note",
    "end": "end",
}


def transcript(events: Iterable[Event], *, steps: bool = True) -> Iterator[str]:
    """Yield the lines of a transcript: seconds, who, what. A cut utterance ends with ``✂`` and its rest."""
    for event in events:
        if event.kind in _QUIET or (event.kind == "step" and not steps):
            continue
        yield f"{event.t:8.2f}  {_WHO.get(event.kind, event.kind):<8}  {_words(event)}"


def _words(event: Event) -> str:
    details = event.details
    match event.kind:
        case "agent" if isinstance(event, Speech):
            if not event.cut:
                return event.text
            rest = event.full_text.removeprefix(event.text).strip()
            return f"{event.text} ✂ {_short(rest)}".strip()
        case "caller" if details.get("unheard"):
            return f"{event.text} (not heard: {details['unheard']})"
        case "step":
            times = f" ({details['times']} times)" if "times" in details else ""
            return f"{event.text} {details.get('place', '')}".rstrip() + times
        case "tool":
            return f"{event.text} {details.get('arguments', '')}".rstrip()
        case "queue":
            return f"{event.text}: {details['told']}"
        case "transfer":
            return f"{event.text}: {_transfer(event)}"
        case "end":
            detail = f": {details['detail']}" if details.get("detail") else ""
            return f"{details.get('outcome')} ({event.text}){detail}"
        case _:
            return event.text


def _transfer(event: Event) -> str:
    status = event.details.get("status")
    match event.details.get("type"):
        case "transfer.started":
            return "tried"
        case "transfer.refused":
            return f"refused: {event.details.get('reason')}"
        case _:
            return f"{'accepted' if event.details.get('accepted') else 'failed'} ({status})"


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def told(result: SimResult, *, verbose: bool = True) -> str:
    """Return one simulated call in words; without ``verbose``, one that went well is one line."""
    lines = [f"{'✓' if result.ok else '✗'} {result.name}  ({result.duration_s:.1f} s)"]
    if verbose or not result.ok:
        lines += [f"  {line}" for line in transcript(result.events)]
    lines += [f"  ✗ {_placed(result, one.text)}" for one in result.failures]
    return "\n".join(lines)


def _placed(result: SimResult, text: str) -> str:
    return f"{result.file}: {text}" if result.file else text


def summary(results: Sequence[SimResult]) -> str:
    """Return the last line of a report."""
    failed = sum(not one.ok for one in results)
    count = f"{len(results)} scenario{'s' if len(results) != 1 else ''}"
    return f"{count}, {failed} failed" if failed else f"{count}, all as expected"
