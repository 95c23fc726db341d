"""Two at a time: one process runs what needs real time (sockets, phones, browsers), the other all the rest.

Tests in real time never run beside each other, so that none takes another's core; what runs beside them is
niced. A single process (``pytest`` without ``-n``) runs everything in order, as ever.
"""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parents[1]
REAL = "in real time"
_FOLDERS = ("bench_calls", "browser", "cli", "engine_hosted", "examples", "hosted", "interop", "loopback")
_MARK = re.compile(r"^[^#\n]*pytest\.mark\.(loopback|interop|browser|fleet)\b", re.M)


@cache
def in_real_time(file: str) -> bool:
    """Whether the tests of a file (as in node ids) wait for something outside themselves."""
    if file.split("/")[1:2] and file.split("/")[1] in _FOLDERS:
        return True
    path = ROOT / file
    return path.is_file() and _MARK.search(path.read_text(encoding="utf-8")) is not None


class TwoRoads(LoadScopeScheduling):
    """Gives whole files to processes, and everything in real time to one of them."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return REAL if in_real_time(file) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> TwoRoads:
    """Called by pytest-xdist (``-n 2``)."""
    return TwoRoads(config, log)


_niced = False


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Step back behind the tests in real time that run beside this one."""
    global _niced
    if _niced or "PYTEST_XDIST_WORKER" not in os.environ or in_real_time(item.nodeid.partition("::")[0]):
        return
    _niced = True
    os.nice(5)
