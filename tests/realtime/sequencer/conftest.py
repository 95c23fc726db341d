"""Prints, after the run, which property caught which planted defect."""

from __future__ import annotations

import pytest

from voiceagent.bench.planted import PROMISES, Caught

PlantedReport = dict[str, tuple[Caught, str]]
_KEY = pytest.StashKey[PlantedReport]()


@pytest.fixture
def planted_report(request: pytest.FixtureRequest) -> PlantedReport:
    """Where the tests of the planted defects write down who noticed."""
    return request.config.stash.setdefault(_KEY, {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    report = config.stash.get(_KEY, {})
    if not report:
        return
    terminalreporter.section("planted defects of the sequencer, one at a time")
    for name, (caught, ladder) in report.items():
        promise = PROMISES.get(caught.property, "nothing noticed")
        terminalreporter.write_line(f"{name:<20} {caught.property:<4} {promise}; {ladder or 'no ladder'}")
