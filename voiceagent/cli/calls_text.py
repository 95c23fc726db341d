"""How calls are told in a terminal: lines for people, without anything that a terminal would obey."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from voiceagent.cli.run import printable

Json = dict[str, Any]


def clock(seconds: float) -> str:
    """Return a duration as 4:05 or 1:04:05."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def party(call: Json) -> str:
    """Whom we speak with, with an arrow from who calls."""
    outbound = call["direction"] == "outbound"
    who = (call["called"] if outbound else call["caller"]) or "unknown"
    return printable(f"{'→' if outbound else '←'} {who}")


def doing(call: Json) -> str:
    """What goes on, in two words."""
    if call["state"] == "ended":
        outcome: Json = call.get("outcome") or {}
        return printable(f"{outcome.get('kind', 'ended')}: {outcome.get('reason', '')}")
    if call["state"] != "talking":
        return str(call["state"])
    if call.get("taken_over_by"):
        return printable(f"with {call['taken_over_by']}")
    if "us" in call["held_by"]:
        return "on hold"
    return {"caller": "caller speaks", "agent": "agent speaks"}.get(call["floor"], "listening")


def where(call: Json) -> str:
    """Flow and step."""
    return printable(" · ".join(part for part in (call["flow"], call["step"]) if part))


def table(rows: Iterable[Iterable[str]], head: Iterable[str]) -> Iterator[str]:
    """Yield lines of aligned columns; the last column may be as long as it likes."""
    all_rows = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in all_rows) for column in range(len(all_rows[0]))]
    for row in all_rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join(cells).rstrip()


def node_of_call(call: Json) -> str:
    """Return which node has it; with a question mark when it is only known how it stood."""
    return printable(call.get("node") or "") + ("?" if call.get("stale") else "")


def of_several_nodes(calls: Iterable[Json]) -> bool:
    """Whether it matters which node has a call."""
    return len({call.get("node") for call in calls}) > 1


def call_rows(calls: Sequence[Json]) -> Iterator[str]:
    """Yield the list of calls, with their nodes where there are several."""
    several = of_several_nodes(calls)
    rows = [
        (
            call["id"],
            *((node_of_call(call),) if several else ()),
            party(call),
            clock(call["duration_s"]),
            doing(call),
            where(call),
            short(call["last_words"], 48),
        )
        for call in calls
    ]
    node = ("NODE",) if several else ()
    return table(rows, ("CALL", *node, "PARTY", "TIME", "STATE", "FLOW", "LAST WORDS"))


def short(text: str, most: int) -> str:
    """Return one line of at most ``most`` characters."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= most else line[: most - 1] + "…"


def line_text(line: Json) -> str:
    """Return one line of a transcript; a cut one shows what was not heard."""
    text = printable(line["text"])
    if line["cut"]:
        rest = printable(line["full_text"].removeprefix(line["text"]).strip())
        text += f" ✂ [{short(rest, 60)}]" if rest else " ✂"
    return f"{clock(line['at']):>6}  {line['speaker']:<8} {text}"


def response_text(response: Json) -> str:
    """Return one request: how it stands, why, and what was heard."""
    words = short(response["instructions"] or "(as the conversation stands)", 60)
    outcome: Json = response["outcome"] or {}
    state = f"{response['state']} ({response['reason']})" if response["reason"] else response["state"]
    heard = f"  heard {outcome['heard_ms'] / 1000:.1f} s" if outcome.get("heard_ms") else ""
    return printable(f"{response['id']}  {response['origin']:<8} {state}{heard}  {words}")


def call_text(call: Json) -> Iterator[str]:
    """Yield a call whole: facts, transcript, requests."""
    yield f"{call['id']}  {party(call)}  {clock(call['duration_s'])}  {doing(call)}"
    facts = {
        "flow": where(call),
        "called": printable(call["called"]),
        "trunk": call["trunk"],
        "node": node_of_call(call),
        "tags": printable(", ".join(call.get("tags") or ())),
        "listening": printable(", ".join(one["name"] for one in call.get("listeners") or ())),
        "can": ", ".join(call["abilities"]),
    }
    for name, value in facts.items():
        if value:
            yield f"  {name:<10} {value}"
    if call["transcript"]:
        yield ""
        yield from (f"  {line_text(line)}" for line in call["transcript"])
    if call["responses"]:
        yield ""
        yield from (f"  {response_text(response)}" for response in call["responses"])
