"""The files of a benchmark report: ``report.json`` has everything, page and plots are made of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voiceagent.bench.report_plots import plots_of
from voiceagent.bench.report_text import render
from voiceagent.bench.suite import FORMAT_VERSION
from voiceagent.errors import ConfigError

DATA, PAGE = "report.json", "report.md"


def read_report(folder: Path) -> dict[str, Any]:
    """Return the report of ``folder``. Raises ConfigError where there is none that we understand."""
    path = folder / DATA
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError("--again", f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError("--again", f"{path} is no JSON: {error}") from None
    if report.get("format") != FORMAT_VERSION:
        raise ConfigError("--again", f"{path} has format {report.get('format')}, not {FORMAT_VERSION}")
    return report


def write_report(folder: Path, report: Mapping[str, Any]) -> list[Path]:
    """Write all files into ``folder`` and return their paths. Raises ConfigError where that cannot be."""
    plots = plots_of(report)
    files = {
        PAGE: render(report, list(plots)),
        DATA: json.dumps(report, indent=1, ensure_ascii=False) + "\n",
        **plots,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError("--folder", f"cannot write to {folder}: {error.strerror}") from None
    return [folder / name for name in files]
