"""Fifty kills at random points of the wire, over real sockets."""

from __future__ import annotations

import pytest

from voiceagent.bench.recovery import measure_recovery


@pytest.mark.loopback
async def test_fifty_kills_lose_no_turn_and_repeat_no_tool() -> None:
    figures = await measure_recovery(50, 20, 7)
    assert figures["kills"] == 50
    assert figures["kill_points"] > 5
    assert figures["turns_to_restore"] > 0
    assert figures["turns_missing"] == []
    assert figures["turns_restored_percent"] == 100
    assert figures["tool_effects"] > 0
    assert figures["tool_effects_twice"] == 0
    assert figures["failures"] == {}
    assert figures["calls_unfinished"] == 0
    assert figures["call_outcomes"] == {"success: completed": 20}
    assert figures["resumed_s"]["count"] > 0
