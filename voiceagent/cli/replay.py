"""``voiceagent replay``: recorded calls through today's code, and what is decided otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from voiceagent.cli.run import FAILED, printable, show_json
from voiceagent.errors import VoiceAgentError

UNREADABLE = 2
"""Exit status when a journal could not be replayed at all."""


def run_replay(paths: Sequence[Path], *, flows: Sequence[Path], tolerance_ms: float, as_json: bool) -> None:
    """Replay journals and folders of them. Exit status 0: all the same, 1: one differs, 2: one cannot be."""
    from voiceagent.observe.logs import configure_logs
    from voiceagent.replay.replay import in_words, journals_of, replay_journal

    configure_logs(level="error")
    began = time.monotonic()
    reports: list[dict[str, Any]] = []
    counts = {"same": 0, "different": 0, "failed": 0}
    journals = journals_of(paths)
    for number, path in enumerate(journals, 1):
        try:
            report = replay_journal(path, flows=flows, tolerance_s=tolerance_ms / 1000)
        except VoiceAgentError as error:
            counts["failed"] += 1
            reports.append({"journal": str(path), "error": {"code": error.code, "message": str(error)}})
            _say(f"? {error}", as_json)
            continue
        counts["same" if report.same else "different"] += 1
        reports.append(report.plain())
        _say(in_words(report), as_json)
        if as_json and len(journals) > 1 and sys.stderr.isatty():
            print(f"{number} of {len(journals)}", file=sys.stderr)
    seconds = round(time.monotonic() - began, 3)
    if as_json:
        show_json({**counts, "seconds": seconds, "journals": reports})
    elif len(journals) != 1:
        print(
            f"{counts['same']} the same, {counts['different']} different, "
            f"{counts['failed']} not replayable, in {seconds:.1f} s"
        )
    if counts["failed"] or not journals:
        raise SystemExit(UNREADABLE)
    if counts["different"]:
        raise SystemExit(FAILED)


def _say(text: str, as_json: bool) -> None:
    if not as_json:
        print("\n".join(map(printable, text.split("\n"))), flush=True)
