"""Explains a call from its journal, or checks that it kept the sequencer's promises."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from voiceagent.cli.run import FAILED, fail_with, printable, show_json
from voiceagent.errors import VoiceAgentError

if TYPE_CHECKING:
    from voiceagent.replay.explain import Account

_STYLES = {
    "call": "bold",
    "step": "cyan",
    "caller": "green",
    "wait": "yellow",
    "cut": "magenta",
    "slow": "bold yellow",
    "gap": "bold yellow",
    "tool": "blue",
    "operator": "bold magenta",
    "hold": "blue",
    "transfer": "blue",
    "trouble": "bold red",
    "note": "dim",
    "end": "bold",
}
"""Colours of the account, where it goes to a terminal."""


def run_explain(journal: Path, *, check: bool, as_json: bool) -> None:
    """Print the account or the verdict; exit status 1 when a promise was broken."""
    from voiceagent.replay.check import check_journal, report
    from voiceagent.replay.explain import explain

    try:
        if not check:
            account = explain(journal)
            if as_json:
                told = [one.plain() for one in account.told]
                timeline = account.timeline.plain()
                show_json({"summary": account.summary.plain(), "told": told, "timeline": timeline})
            else:
                _print(account)
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


def show_sip(journal: Path, *, as_json: bool) -> None:
    """Print the SIP messages of the call, one a line."""
    from voiceagent.replay.sip_story import sip_ladder

    try:
        lines = [printable(line) for line in sip_ladder(journal)]
    except VoiceAgentError as error:
        fail_with(error, as_json=as_json)
    if as_json:
        show_json({"sip": lines})
    else:
        print("\n".join(lines) or "no SIP messages in this journal")


def _print(account: Account) -> None:
    """Print the head, then line by line; in colour where somebody looks at it."""
    lines = [(f"{label:>10}  {text}", "") for label, text in account.summary.lines()]
    lines.append(("", ""))
    lines = [(printable(text), style) for text, style in (*lines, *_body(account))]
    if not sys.stdout.isatty():
        print("\n".join(text for text, _ in lines))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for text, style in lines:
        shown = Text(text)
        shown.stylize("dim" if style else "", 0, 10)
        shown.stylize(style, 12)
        console.print(shown)


def _body(account: Account) -> list[tuple[str, str]]:
    from voiceagent.replay.telling import clock

    lines: list[tuple[str, str]] = []
    for one in account.told:
        style = _STYLES.get(one.kind, "")
        lines.append((f"{clock(one.t):>10}  {one.text}", style))
        lines += [(f"{'':>10}    {more}", style) for more in one.more]
    return lines


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
