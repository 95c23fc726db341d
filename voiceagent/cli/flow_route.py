"""``voiceagent flow route``: which flow would answer a call, and why; no call is placed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voiceagent.cli.run import FAILED, USAGE, fail, fail_with, parse_overrides, show_json
from voiceagent.errors import ConfigError

if TYPE_CHECKING:
    from voiceagent.ivr.routing import Arrival, Decision
    from voiceagent.ivr.routing.conditions import Kind

BECAUSE = {
    "hosted.numbers": "by hosted.numbers",
    "numbers": "by its own number",
    "default_flow": "as default_flow: no route and no flow names the number",
    "any number": 'by "*": no route and no flow names the number',
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A call as the command line describes it."""

    number: str
    caller: str
    trunk: str
    kind: str
    headers: Sequence[str]
    """``Name: value`` or ``Name=value``."""
    at: str
    """ISO time; without an offset the wall clock of each route's zone; empty: now."""
    protocol_call_id: str


def run_route(
    asked: Asked, flows: list[str], config: Path | None, overrides: list[str], *, as_json: bool
) -> None:
    """Say who answers; exit status 1 when nobody does, 2 for a wrong setting."""
    from voiceagent.app.flow_books import book_of_flows
    from voiceagent.settings import load_settings

    try:
        flags = {"flows": flows or None, **parse_overrides(overrides)}
        book = book_of_flows(load_settings(config, flags))
    except ConfigError as error:
        fail_with(error, as_json=as_json)
    arrival = _arrival(asked)
    decision = book.router.decide(arrival)
    if as_json:
        show_json(told(decision, arrival))
    else:
        print("\n".join(_lines(decision, arrival)))
    if decision.flow is None:
        raise SystemExit(FAILED)


def told(decision: Decision, arrival: Arrival) -> dict[str, Any]:
    """Return a decision as JSON values."""
    passed: list[dict[str, Any]] = []
    for one in decision.passed:
        field, why = one.condition.against(arrival)
        passed.append({"route": one.place, "flow": one.route.flow, "field": field, "why": why})
    return {
        "number": arrival.called,
        "at": arrival.at.isoformat(),
        "flow": decision.flow,
        "by": decision.by,
        "passed": passed,
    }


def _lines(decision: Decision, arrival: Arrival) -> list[str]:
    lines: list[str] = []
    for one in decision.passed:
        field, why = one.condition.against(arrival)
        lines.append(f"routes.{one.place} passes it over ({one.route.flow}): {field}: {why}")
    if decision.flow is None:
        lines.append("Nobody answers (404): no flow names the number, and there is no default_flow.")
    else:
        lines.append(f"{decision.flow} answers, {BECAUSE.get(decision.by, f'by {decision.by}')}.")
    return lines


def _arrival(asked: Asked) -> Arrival:
    from voiceagent.ivr.routing import Arrival

    kinds: dict[str, Kind] = {"direct": "direct", "hosted": "hosted", "browser": "browser"}
    if asked.kind not in kinds:
        fail(f"--kind {asked.kind}: must be one of {', '.join(kinds)}", USAGE)
    try:
        at = datetime.fromisoformat(asked.at) if asked.at else datetime.now(UTC)
    except ValueError:
        fail(f"--at {asked.at}: must look like 2026-12-24T18:00 or 2026-12-24T18:00+01:00", USAGE)
    return Arrival(
        called=asked.number,
        at=at,
        caller=asked.caller,
        trunk=asked.trunk,
        kind=kinds[asked.kind],
        headers=[_header(one) for one in asked.headers],
        protocol_call_id=asked.protocol_call_id,
    )


def _header(text: str) -> tuple[str, str]:
    name, found, value = text.partition(":" if ":" in text else "=")
    if not found or not name.strip():
        fail(f"--header {text}: must look like Name: value", USAGE)
    return name.strip(), value.strip()
