"""``voiceagent explain --trace``: the spans of a finished call, as a collector would have had them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from voiceagent.cli.run import fail_with, printable, show_json
from voiceagent.errors import VoiceAgentError

if TYPE_CHECKING:
    from voiceagent.observe.trace_spans import Span


def show_trace(journal: Path, *, as_json: bool) -> None:
    """Print the tree of the spans, each with its start and length; nothing of what was said."""
    from voiceagent.observe.call_trace import spans_of
    from voiceagent.replay.trace import read_lines

    try:
        entries = [line.entry for line in read_lines(journal)]
    except VoiceAgentError as error:
        fail_with(error, as_json=as_json)
    named = (str(entry.get("call_id", "")) for entry in entries if entry.get("type") == "call.offered")
    spans = spans_of(entries, next(named, "") or journal.stem)
    if as_json:
        show_json({"spans": [asdict(one) for one in spans]})
        return
    print("\n".join(printable(line) for line in lines_of(spans)) or "no call was offered in this journal")


def lines_of(spans: Sequence[Span]) -> Iterator[str]:
    """Yield the tree, oldest first: start, length, name, and what is told of it."""
    ids = {one.span_id for one in spans}
    children: dict[str, list[Span]] = {}
    for one in sorted(spans, key=lambda span: span.since):
        children.setdefault(one.parent_id if one.parent_id in ids else "", []).append(one)
    began = min((one.since for one in spans), default=0.0)

    def walk(parent: str, depth: int) -> Iterator[str]:
        for one in children.get(parent, ()):
            told = " ".join(f"{name.rpartition('.')[2]}={value}" for name, value in _facts(one.attributes))
            failed = f" ✗ {one.error}" if one.error else ""
            lasted = f"{one.until - one.since:8.3f}"
            yield f"{one.since - began:9.3f} {lasted}  {'  ' * depth}{one.name}{failed}  {told}".rstrip()
            yield from walk(one.span_id, depth + 1)

    if spans:
        yield f"trace {spans[0].trace_id}"
        yield f"{'start s':>9} {'length s':>8}"
        yield from walk("", 0)


def _facts(attributes: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Leave out what every span of a call has, and what its name says."""
    for name, value in attributes.items():
        if name.startswith(("voiceagent.", "gen_ai.usage.")):
            yield name, value
