"""Short sessions over real sockets against the embedded provider, with jitter: I1 to I12 live."""

from __future__ import annotations

import asyncio

import pytest

from voiceagent.bench.traffic_sockets import hold_sessions

SESSIONS = 100


@pytest.mark.loopback
def test_a_hundred_sessions_over_real_sockets() -> None:
    tally = asyncio.run(hold_sessions(SESSIONS))
    assert tally.broken == []
    assert tally.never_ended == 0
    assert tally.sessions == SESSIONS
    assert tally.requests == sum(tally.outcomes.values()) > SESSIONS
    assert "none" not in tally.outcomes
    assert tally.outcomes["completed"] > 0
    assert tally.turns > 0
