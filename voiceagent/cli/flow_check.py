"""``voiceagent flow check``: mistakes in flows, told as compilers do."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from voiceagent.cli.run import FAILED, USAGE, fail_with, parse_overrides, show_json
from voiceagent.errors import VoiceAgentError

if TYPE_CHECKING:
    from voiceagent.ivr.check.findings import Finding
    from voiceagent.ivr.check.python_check import Checked
    from voiceagent.ivr.check.walks import Walk
    from voiceagent.settings import Settings


def run_check(
    files: Sequence[Path],
    scenarios: Sequence[Path],
    *,
    config: Path | None,
    overrides: Sequence[str],
    strict: bool,
    as_json: bool,
) -> None:
    """Check, print, and exit: 0 nothing found, 1 something is, 2 a file cannot be read."""
    from voiceagent.call.targets import TargetRules
    from voiceagent.ivr.check.allowed import Allowed
    from voiceagent.ivr.check.files import Unreadable, check_file
    from voiceagent.ivr.check.findings import failed
    from voiceagent.ivr.check.python_check import shared_names
    from voiceagent.ivr.toml.endpoints import EndpointRules
    from voiceagent.settings import load_settings

    unreadable: list[str] = []
    checked: dict[Path, Checked] = {}
    try:
        # No provider is asked, so none needs a key.
        flags = {**parse_overrides(overrides), "realtime.provider": "embedded"}
        settings = load_settings(config, flags)
        allowed = Allowed(
            TargetRules(settings.call.transfer_targets),
            EndpointRules(settings.call.http_hosts),
            frozenset(one.name for one in settings.queues),
            _sound_problem,
        )
        for path in dict.fromkeys(files):
            try:
                checked[path] = check_file(path, allowed)
            except Unreadable as error:
                unreadable.append(str(error).removeprefix(f"{error.setting}: "))
        found = [one for each in checked.values() for one in each.findings]
        found += shared_names(fact for each in checked.values() for fact in each.flows)
        with redirect_stdout(sys.stderr):  # what a flow prints; standard output is for what was found
            walks = _walks(list(checked), scenarios)
    except VoiceAgentError as error:
        fail_with(error, as_json=as_json)
    found = [_while_empty(one, settings) for one in found]
    found = sorted(_with_evidence(found, walks, list(checked)))
    if as_json:
        flows = [dataclasses.asdict(fact) for each in checked.values() for fact in each.flows]
        show_json(
            {
                "ok": not unreadable and not failed(found, strict=strict),
                "errors": len(_errors(found)),
                "warnings": len(found) - len(_errors(found)),
                "findings": [one.plain() for one in found],
                "flows": flows,
                "scenarios": [_walk_as_json(one) for one in walks],
                "unreadable": unreadable,
            }
        )
    else:
        for one in found:
            print(one)
        for problem in unreadable:
            print(f"voiceagent: {problem}", file=sys.stderr)
        print(_summary(found, checked, walks))
    if unreadable:
        raise SystemExit(USAGE)
    raise SystemExit(FAILED if failed(found, strict=strict) else 0)


def _sound_problem(path: Path) -> str | None:
    from voiceagent.call.sounds import problem_of  # few flows play files

    return problem_of(path)


def _errors(found: Sequence[Finding]) -> list[Finding]:
    return [one for one in found if one.severity == "error"]


def _walks(files: Sequence[Path], scenarios: Sequence[Path]) -> list[Walk]:
    """Play the scenarios against the files that can be loaded; none is played where none can."""
    if not scenarios:
        return []
    from voiceagent.cli.flow_evidence import loadable, walks_of_scenarios

    sound = loadable(files)
    return walks_of_scenarios(sound, scenarios) if sound else []


def _while_empty(one: Finding, settings: Settings) -> Finding:
    """Nobody has said yet whom flows may transfer to or ask: to be known, and no mistake in the flow."""
    match one.code:
        case "transfer-not-allowed" if not settings.call.transfer_targets:
            remedy = "call.transfer_targets is empty"
        case "host-not-allowed" if not settings.call.http_hosts:
            remedy = "call.http_hosts is empty"
        case "unknown-queue" if not settings.queues:
            remedy = one.remedy
        case _:
            return one
    return dataclasses.replace(one, severity="warning", remedy=remedy)


def _with_evidence(found: Sequence[Finding], walks: Sequence[Walk], files: Sequence[Path]) -> list[Finding]:
    """Drop what simulated calls have disproved, and add what they have shown."""
    from voiceagent.ivr.check.findings import Finding

    seen = {(stop.file, stop.line) for walk in walks for stop in walk.stops}
    kept = [one for one in found if one.code != "unreachable" or (Path(one.file).name, one.line) not in seen]
    by_name = {path.name: str(path) for path in files}
    for walk in walks:
        at = walk.failed_at
        if walk.failure:
            file = by_name.get(at.file if at is not None else "", str(files[0]))
            line = at.line if at is not None and at.file in by_name else 1
            message = f"the scenario {walk.label!r} made the flow raise {walk.failure}"
            kept.append(Finding(file, line, "error", "fails-in-simulation", message))
    return kept


def _walk_as_json(walk: Walk) -> dict[str, object]:
    return {
        "name": walk.label,
        "flow": walk.flow,
        "steps": [{"step": stop.name, "place": stop.place} for stop in walk.stops],
        "end": walk.end,
    }


def _summary(found: Sequence[Finding], checked: dict[Path, Checked], walks: Sequence[Walk]) -> str:
    errors = len(_errors(found))
    warnings = len(found) - errors
    flows = sum(len(each.flows) for each in checked.values())
    told = [f"{_count(errors, 'error')}, {_count(warnings, 'warning')}" if found else "nothing found"]
    told.append(f"in {_count(flows, 'flow')} of {_count(len(checked), 'file')}")
    if walks:
        places = {stop.place for walk in walks for stop in walk.stops if stop.place}
        told.append(f"({_count(len(walks), 'scenario')} came through {_count(len(places), 'place')})")
    return " ".join(told)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
