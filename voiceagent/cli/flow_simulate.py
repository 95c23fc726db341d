"""``voiceagent flow simulate``: scenarios played against a flow, without a call."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from voiceagent.cli.run import FAILED, fail_with, show_json
from voiceagent.errors import ConfigError, VoiceAgentError

if TYPE_CHECKING:
    from voiceagent.simulate.engine import SimResult
    from voiceagent.simulate.surroundings import Surroundings


USUAL_FILE = "voiceagent.toml"


def run_simulate(
    file: Path,
    scenarios: Sequence[Path],
    *,
    junit: Path | None,
    journals: Path | None,
    config: Path | None,
    overrides: Sequence[str],
    verbose: bool,
    as_json: bool,
) -> None:
    """Simulate, print, and exit: 0 all as expected, 1 something is not, 2 a file cannot be used."""
    from voiceagent.observe.logs import configure_logs
    from voiceagent.simulate.engine import result_as_json
    from voiceagent.simulate.report import summary, told

    configure_logs(format="console", level="error")
    try:
        if journals is not None:
            _folder(journals)
        around = _surroundings(config, overrides)
        with redirect_stdout(sys.stderr):  # what a flow prints; standard output is for what came of it
            results = [_one(file, path, around, journals) for path in _scenario_files(scenarios)]
        if junit is not None:
            from voiceagent.simulate.junit import junit as junit_of

            _write(junit, junit_of(results, file.stem))
    except VoiceAgentError as error:
        fail_with(error, as_json=as_json)
    if as_json:
        show_json(
            {
                "ok": all(one.ok for one in results),
                "scenarios": [result_as_json(one, events=verbose or not one.ok) for one in results],
            }
        )
    else:
        for one in results:
            print(told(one, verbose=verbose or len(results) == 1))
        if len(results) > 1:
            print(f"\n{summary(results)}")
    raise SystemExit(0 if all(one.ok for one in results) else FAILED)


def _scenario_files(paths: Sequence[Path]) -> list[Path]:
    from voiceagent.simulate.scenario_file import scenario_files

    return scenario_files(paths)


def _surroundings(config: Path | None, overrides: Sequence[str]) -> Surroundings:
    """Return what the settings say about calls; where there are none, what simulations assume."""
    from voiceagent.simulate.surroundings import NO_SETTINGS

    if config is None and not overrides and not Path(USUAL_FILE).is_file():
        return NO_SETTINGS
    from voiceagent.app.simulating import surroundings_of
    from voiceagent.cli.run import parse_overrides

    return surroundings_of(config, parse_overrides(overrides))


def _one(
    file: Path,
    path: Path,
    around: Surroundings,
    journals: Path | None,
) -> SimResult:
    from voiceagent.ivr.loading import load_flows
    from voiceagent.simulate.engine import pick_flow, simulate
    from voiceagent.simulate.scenario_file import read_scenario_and_text

    scenario, text = read_scenario_and_text(path)
    # Loaded anew for each scenario: what a flow's module remembers is not to leak into the next one.
    flow = pick_flow(load_flows([file], None), scenario)
    result = simulate(
        flow,
        scenario,
        around=around,
        text=text,
        file=str(path),
        inputs=journals is not None,
    )
    if journals is not None:
        name = re.sub(r"[^\w.-]+", "-", scenario.name).strip("-") or path.stem
        result.write_journal(journals / f"{name}.jsonl")
    return result


def _folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError("--journal", f"cannot use {path}: {error.strerror}") from None


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError("--junit", f"cannot write {path}: {error.strerror}") from None
