"""The call that ``voiceagent bench simulate`` measures goes as it says, and takes two minutes."""

from __future__ import annotations

from voiceagent.bench.simulate import run_simulate_bench


def test_the_measured_call_is_what_it_claims() -> None:
    figures = run_simulate_bench(1)
    assert figures["as_expected"] is True
    assert 120 <= figures["call_s"] <= 150
