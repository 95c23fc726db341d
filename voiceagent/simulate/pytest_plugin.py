"""The pytest fixture ``call_sim``; installed with the package, or by ``pytest_plugins``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from voiceagent.simulate.call_sim import CallSims


@pytest.fixture
def call_sim(request: pytest.FixtureRequest) -> Iterator[CallSims]:
    """Make simulated calls: ``call = call_sim("shop.py", called="200")``; files stand beside the test.

    See :class:`voiceagent.simulate.call_sim.CallSim` for what a call can do, and ``call_sim.plays(flow,
    "scenario.toml")`` for whole scenarios.
    """
    # Not for every test run of who has us installed.
    from voiceagent.app.simulating import surroundings_of
    from voiceagent.simulate.call_sim import CallSims

    calls = CallSims(request.path.parent, surroundings_of)
    yield calls
    calls.close()
