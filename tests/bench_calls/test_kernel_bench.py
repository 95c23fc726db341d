"""The system calls of a call, measured: every kind is, and the sum is theirs."""

from __future__ import annotations

import pytest

from voiceagent.bench.kernel import RATES, run_kernel_bench

pytestmark = pytest.mark.loopback


def test_every_kind_is_measured_and_a_call_is_the_sum_of_them() -> None:
    figures = run_kernel_bench(bursts=4)
    assert figures["us"].keys() == RATES.keys()
    assert all(us > 0 for us in figures["us"].values())
    of_a_call = sum(figures["us"][kind] * rate for kind, rate in RATES.items()) / 1000
    assert figures["cpu_ms_per_call_second"] == pytest.approx(of_a_call, abs=0.01)
    assert figures["core_percent_per_call"] == pytest.approx(of_a_call / 10, abs=0.001)
