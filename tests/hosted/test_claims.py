"""Ids are claimed once: in memory, across restarts, for at least 72 hours, in bounded space."""

from __future__ import annotations

from pathlib import Path

import pytest

from voiceagent.app.claims import KEEP_S, Claims


class Clock:
    def __init__(self) -> None:
        self.now = 1_750_000_000.0

    def __call__(self) -> float:
        return self.now


def test_an_id_is_claimed_once_and_all_or_nothing() -> None:
    claims = Claims(None)
    assert claims.claim("event 1", "call 1")
    assert not claims.claim("event 1", "call 2")
    assert claims.claim("call 2"), "the refused claim took nothing"
    assert not claims.claim("event 9", "call 1")


def test_a_restart_remembers(tmp_path: Path) -> None:
    path = tmp_path / "webhooks.claims"
    first = Claims(path)
    assert first.claim("event 1", "call 1")
    first.close()
    again = Claims(path)
    assert not again.claim("event 1")
    assert not again.claim("call 1")
    assert again.claim("event 2")
    again.close()
    assert not Claims(path).claim("event 2")


def test_a_process_that_died_while_writing_costs_one_line(tmp_path: Path) -> None:
    path = tmp_path / "webhooks.claims"
    claims = Claims(path)
    claims.claim("event 1")
    claims.claim("event 2")
    claims.close()
    path.write_bytes(path.read_bytes()[:-6] + b"\xff\x00garbage")
    again = Claims(path)
    assert not again.claim("event 1")
    assert again.claim("event 3")
    again.close()
    assert not Claims(path).claim("event 3"), "a new line begins after the damage"


@pytest.mark.parametrize("restart", [False, True])
def test_an_id_is_known_for_72_hours_and_not_for_ever(tmp_path: Path, restart: bool) -> None:
    clock = Clock()
    path = tmp_path / "webhooks.claims"
    claims = Claims(path, wall=clock)
    for hour in range(6 * 24):
        assert claims.claim(f"event {hour}")
        if restart:
            claims.close()
            claims = Claims(path, wall=clock)
        for age in (1, 24, 71, 72):
            if age <= hour:
                assert not claims.claim(f"event {hour - age}"), (hour, age)
        clock.now += 3600
    clock.now += 2 * KEEP_S
    assert claims.claim("event 0")
    claims.close()


def test_space_is_bounded_in_memory_and_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "webhooks.claims"
    claims = Claims(path, most=100)
    for number in range(1050):
        assert claims.claim(f"event {number}", f"call {number}")
        assert len(claims) <= 400
    assert not claims.claim("event 1049")
    assert not claims.claim("event 960")
    claims.close()
    files = sorted(each.name for each in tmp_path.iterdir())
    assert files == ["webhooks.claims", "webhooks.claims.old"]
    assert sum(each.stat().st_size for each in tmp_path.iterdir()) < 20_000
    assert not Claims(path, most=100).claim("event 960")


def test_a_folder_that_cannot_be_written_leaves_the_memory(tmp_path: Path) -> None:
    claims = Claims(tmp_path / "missing" / "webhooks.claims")
    assert claims.claim("event 1")
    assert not claims.claim("event 1")
    claims.close()
