"""The comparison's world is the same for every client, and our row of the table keeps its promises."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from voiceagent.bench.against_clients import Ours, Peer, require_peer
from voiceagent.bench.against_peer import figures, live, run_against
from voiceagent.bench.against_world import Script
from voiceagent.errors import ConfigError

INSTALLED = importlib.util.find_spec("agents") is not None


def test_ours_loses_nothing_and_collides_with_nobody() -> None:
    row = figures(*live(Ours, 6, 300.0, seed=2))
    assert row["requests"] > 200
    assert row["vanished"] == row["never_heard"] == row["tool_results_unanswered"] == 0
    assert row["collisions"] == row["overlaps"] == row["turns_unanswered"] == 0
    assert row["frames_not_understood"] == 0
    assert row["starts_over_speech"] <= row["requests"] * 0.03


def test_the_same_seed_is_the_same_call() -> None:
    assert Script.draw("a", 100.0) == Script.draw("a", 100.0) != Script.draw("b", 100.0)
    one, other = live(Ours, 1, 60.0, seed=3)[0], live(Ours, 1, 60.0, seed=3)[0]
    assert one == other


def test_a_missing_peer_is_one_line_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "agents"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "agents", None)
    with pytest.raises(ConfigError, match=r"pip install 'voiceagent\[bench\]'"):
        run_against("openai-agents")


@pytest.mark.skipif(not INSTALLED, reason="needs the bench extra: pip install 'voiceagent[bench]'")
def test_the_peer_takes_part() -> None:
    assert require_peer()
    row = figures(*live(Peer, 1, 60.0, seed=2))
    assert row["requests"] > 5
    assert row["frames_not_understood"] == 0


def test_an_unknown_peer_is_refused() -> None:
    with pytest.raises(ConfigError, match="knows openai-agents, not nobody"):
        run_against("nobody")
