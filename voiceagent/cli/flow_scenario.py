"""``voiceagent flow scenario``: from the journal of a real call to a scenario."""

from __future__ import annotations

from pathlib import Path

from voiceagent.cli.run import fail_with, show_json
from voiceagent.errors import ConfigError, VoiceAgentError


def run_scenario(journal: Path, out: Path | None, name: str, *, as_json: bool) -> None:
    """Print the scenario, or write it; exit status 1 for a journal that tells of no answered call."""
    from voiceagent.replay.trace import read_lines
    from voiceagent.simulate.from_journal import scenario_of

    try:
        text = scenario_of((line.entry for line in read_lines(journal)), name or journal.stem)
        if out is not None:
            _write(out, text)
    except VoiceAgentError as error:
        fail_with(error, as_json=as_json)
    if as_json:
        show_json({"scenario": text, "out": None if out is None else str(out)})
    elif out is None:
        print(text, end="")
    else:
        print(f"{out}: {text.count('[[turn]]')} turns")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError("--out", f"cannot write {path}: {error.strerror}") from None
