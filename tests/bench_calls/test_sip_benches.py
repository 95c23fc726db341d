"""The benches of the SIP edge run and say what they measured."""

from __future__ import annotations

import pytest

from voiceagent.bench.fuzz import own_seeds
from voiceagent.bench.fuzz_socket import fuzz_service
from voiceagent.bench.parse import run_parse_bench
from voiceagent.bench.setup import run_setup_bench

pytestmark = pytest.mark.loopback


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_setup(transport: str) -> None:
    figures = run_setup_bench(rate=50, calls=30, transport="tcp" if transport == "tcp" else "udp")
    assert (figures["failed"], figures["answered"], figures["legs_left"]) == (0, 30, 0)
    assert figures["cpu_ms_per_call"] > 0


def test_parse() -> None:
    figures = run_parse_bench(0.2)
    assert 600 <= figures["bytes"] <= 900
    assert set(figures["times_the_reference"]) == {"read", "write", "answer", "sdp"}
    assert all(value > 0 for value in figures["us"].values())


async def test_five_thousand_damaged_datagrams_do_not_reach_the_canary() -> None:
    """The canary's keys all arrive, and every question in between is answered: nothing was lost or stuck."""
    figures = await fuzz_service(5_000, 4475, own_seeds())
    assert figures["canary_alive"]
    assert figures["canary_keys_heard"] == figures["canary_keys_pressed"] == 5
    assert (figures["unanswered_questions"], figures["internal_errors"]) == (0, 0)
    assert figures["dropped"] > 500
    assert {"100", "200", "400", "481"} <= set(figures["answers_by_status"])
