"""What holds for all tests."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator, Sequence

import pytest
import structlog
from hypothesis import settings

from tests.interop.matrix import Matrix
from voiceagent.observe.logs import CHATTY
from voiceagent.phone.phone import PhoneCall

# Without this, the first look at "the current event loop" makes one that nobody closes; the first
# asyncio.run() of a test drops it, and whichever test runs at the next garbage collection is blamed.
asyncio.set_event_loop(None)

# The suite tells the same story every time; HYPOTHESIS_PROFILE=search looks for new ones.
settings.register_profile("suite", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("search", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


# A test machine may be busier than any that a person calls from: our phone's own patience is not for it.
assert PhoneCall.answered.__defaults__ == PhoneCall.over.__defaults__ == (10.0,)
assert PhoneCall.until_speaking.__defaults__ == (15.0,)
assert PhoneCall.until_answered_in_words.__defaults__ == (15.0, 0.9)
PhoneCall.answered.__defaults__ = PhoneCall.over.__defaults__ = PhoneCall.until_speaking.__defaults__ = (
    45.0,
)
PhoneCall.until_answered_in_words.__defaults__ = (45.0, 0.9)

pytest_plugins = ["voiceagent.simulate.pytest_plugin", "tests.scheduling", "tests.kit.postgres_server"]

_MATRIX = Matrix()


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Commands within a test configure the logs of the process; the next test finds them as they were."""
    root, known, config = logging.getLogger(), logging.getLogger().handlers[:], structlog.get_config()
    levels = {name: logging.getLogger(name).level for name in ("", *CHATTY)}
    yield
    structlog.configure(**config)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    for handler in root.handlers[:]:
        if handler not in known and getattr(handler, "_voiceagent_handler", False):
            root.removeHandler(handler)


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Let a test's reports tell which row of the interop matrix it claims, from whichever process."""
    for item in items:
        for mark in item.iter_markers("matrix"):
            item.user_properties.append(("matrix", list(mark.args)))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note what came of them."""
    for name, row in report.user_properties:
        if name == "matrix" and isinstance(row, list):
            _MATRIX.collected(report.nodeid, row)
    why = report.longrepr[2] if report.skipped and isinstance(report.longrepr, tuple) else ""
    _MATRIX.result(report.nodeid, report.outcome, why.removeprefix("Skipped: "))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write ``docs/interop.md`` after a whole run: one without a choice of tests."""
    option = session.config.option
    chosen = option.keyword or option.markexpr or session.config.args != session.config.getini("testpaths")
    if "PYTEST_XDIST_WORKER" not in os.environ and not chosen and _MATRIX.rows and _MATRIX.whole():
        _MATRIX.write()
