"""Explains a call from its journal, or checks that it kept the sequencer's promises."""

from __future__ import annotations

from pathlib import Path

from voiceagent.cli.run import FAILED, fail_with, show_json
from voiceagent.errors import VoiceAgentError


def run_explain(journal: Path, *, check: bool, as_json: bool) -> None:
    """Print the account or the verdict; exit status 1 when a promise was broken."""
    from voiceagent.replay.check import check_journal, report
    from voiceagent.replay.explain import explain_journal

    try:
        if not check:
            told = explain_journal(journal)
            if as_json:
                show_json([{"t": one.t, "text": one.text} for one in told])
            else:
                print("\n".join(f"{one.t:9.3f}  {one.text}" for one in told))
            return
        verdict = check_journal(journal)
    except VoiceAgentError as error:
        fail_with(error, as_json=as_json)
    if as_json:
        show_json(verdict.plain())
    else:
        print(report(verdict))
    if not verdict.ok:
        raise SystemExit(FAILED)


def prove(folder: Path) -> tuple[bool, str]:
    """Check every journal of a folder: whether all promises were kept, and a line about it."""
    from voiceagent.replay.check import check_journal

    steps, broken = 0, list[str]()
    for path in sorted(folder.glob("*.jsonl")):
        verdict = check_journal(path)
        steps += verdict.steps
        broken += [f"{one.code} in line {one.line}: {one.message}" for one in verdict.violations]
        if verdict.missing:
            broken.append(f"{verdict.missing} entries are missing")
    return bool(steps) and not broken, broken[
        0
    ] if broken else f"checked on the {steps} decisions in its journal"
