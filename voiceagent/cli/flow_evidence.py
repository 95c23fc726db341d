"""Ways that calls have gone through flows: scenarios are played, journals are read."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from voiceagent.errors import ConfigError

if TYPE_CHECKING:
    from voiceagent.ivr.check.walks import Walk


def walks_of_scenarios(files: Sequence[Path], scenarios: Sequence[Path]) -> list[Walk]:
    """Play every scenario (files, or folders of them) against the file that has its flow.

    Raises :class:`~voiceagent.errors.ConfigError` for a scenario that cannot be read or that no file fits.
    """
    if not scenarios:
        return []
    from voiceagent.ivr.check.walks import walk_of
    from voiceagent.ivr.flow import Flow
    from voiceagent.ivr.loading import load_flows
    from voiceagent.observe.logs import configure_logs
    from voiceagent.simulate.engine import pick_flow, simulate
    from voiceagent.simulate.scenario_file import read_scenario_and_text, scenario_files

    configure_logs(format="console", level="critical")
    walks: list[Walk] = []
    for path in scenario_files(scenarios):
        scenario, text = read_scenario_and_text(path)
        chosen: Flow | None = None
        problem: ConfigError | None = None
        for file in files:
            try:
                chosen = pick_flow(load_flows([file], None), scenario)
            except ConfigError as error:
                problem = problem or error
                continue
            break
        if chosen is None:
            raise ConfigError("scenario", f"{path}: {problem}")
        result = simulate(chosen, scenario, text=text, file=str(path))
        walks.append(walk_of(result.record.journal, scenario.name))
    return walks


def loadable(files: Sequence[Path]) -> list[Path]:
    """Return the files whose flows can be loaded."""
    from voiceagent.ivr.loading import load_flows

    found: list[Path] = []
    for file in files:
        with contextlib.suppress(ConfigError):
            load_flows([file], None)
            found.append(file)
    return found


def walks_of_journals(journals: Sequence[Path]) -> list[Walk]:
    """Read journals of calls (files, or folders of them). Raises JournalError for one that cannot be read."""
    if not journals:
        return []
    from voiceagent.ivr.check.walks import walk_of
    from voiceagent.replay.trace import read_lines

    files = [
        file for path in journals for file in (sorted(path.glob("*.jsonl")) if path.is_dir() else [path])
    ]
    return [walk_of((line.entry for line in read_lines(file)), file.stem) for file in files]
