"""The bench of encryption runs, and measures what it says it measures."""

from voiceagent.bench.srtp import run_srtp_bench
from voiceagent.media.srtp_profile import PROFILES


def test_every_profile_is_measured_and_every_handshake_ends() -> None:
    figures = run_srtp_bench(runs=4, handshakes=2)
    assert set(figures["pair_us"]) == set(figures["port_adds_us"]) == {profile.value for profile in PROFILES}
    assert all(us > 0 for us in figures["pair_us"].values())
    assert figures["dtls"]["handshake_ms"] >= figures["dtls"]["longest_step_ms"] > 0
    assert isinstance(figures["within_limit"], bool)
