"""An attempt's answer and what follows from it."""

from __future__ import annotations

import pytest

from voiceagent.notify.schedule import JITTER, WAITS_S, Again, Answer, Dead, Taken, retry_after_s, verdict

NOW = 1000.0


@pytest.mark.parametrize("status", [200, 202, 204, 299])
def test_any_success_is_a_delivery(status: int) -> None:
    assert verdict(Answer(status), 0, NOW, lambda: 0.5) == Taken()


@pytest.mark.parametrize("status", [100, 301, 302, 307, 400, 401, 404, 429, 500, 503, None])
def test_all_else_comes_again_and_dies_at_last(status: int | None) -> None:
    attempts, waits = 0, list[float]()
    while isinstance(
        judged := verdict(Answer(status, "" if status else "silence"), attempts, NOW, lambda: 0.5), Again
    ):
        waits.append(judged.at - NOW)
        attempts += 1
    assert waits == pytest.approx(WAITS_S)
    assert isinstance(judged, Dead)
    assert not judged.gone
    assert (str(status) if status else "silence") in judged.error


def test_gone_is_gone_at_once() -> None:
    judged = verdict(Answer(410), 0, NOW, lambda: 0.5)
    assert isinstance(judged, Dead)
    assert judged.gone


def test_jitter_keeps_what_failed_together_apart() -> None:
    low, high = (verdict(Answer(500), 1, NOW, lambda x=x: x) for x in (0.0, 0.999))
    assert isinstance(low, Again)
    assert isinstance(high, Again)
    assert low.at - NOW == pytest.approx(300 * (1 - JITTER))
    assert 300 < high.at - NOW < 300 * (1 + JITTER)


@pytest.mark.parametrize(
    ("status", "asked", "wait", "pause"),
    [
        (429, 60.0, 60.0, 60.0),
        (503, 60.0, 60.0, 60.0),
        (503, 2.0, 5.0, 2.0),  # our own wait is longer
        (500, 60.0, 5.0, 0.0),  # says nothing there
        (429, None, 5.0, 0.0),
        (429, 1e9, 86_400.0, 86_400.0),
    ],
)
def test_who_asks_for_time_gets_it(status: int, asked: float | None, wait: float, pause: float) -> None:
    judged = verdict(Answer(status, retry_after_s=asked), 0, NOW, lambda: 0.5)
    assert isinstance(judged, Again)
    assert judged.at - NOW == pytest.approx(wait)
    assert judged.pause_s == pause


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Thu, 01 Jan 1970 00:17:40 GMT", 60.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("١٢", None),
        ("9" * 400, None),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert retry_after_s(value, NOW) == seconds
