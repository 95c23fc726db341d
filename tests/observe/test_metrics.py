"""The figures: names, labels, and what cannot be made to grow."""

from __future__ import annotations

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from voiceagent.media.figures import Histogram as Lateness
from voiceagent.observe.metrics import MAX_CODES, Metrics


def figures(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.render())
        for sample in family.samples
    }


def test_calls_are_counted_from_start_to_end() -> None:
    metrics = Metrics()
    metrics.call_started()
    metrics.call_started()
    metrics.call_ended("caller_hung_up", 12.0)
    found = figures(metrics)
    assert found["voiceagent_calls_active", ()] == 1
    assert found["voiceagent_calls_total", (("outcome", "caller_hung_up"),)] == 1
    assert found["voiceagent_call_duration_seconds_sum", ()] == 12.0


def test_responses_are_counted_by_origin_and_outcome() -> None:
    metrics = Metrics()
    metrics.response_queued()
    metrics.response_left_queue()
    metrics.response_audible("operator", 0.4)
    metrics.response_ended("operator", "completed")
    metrics.response_ended("martian", "vanished")
    found = figures(metrics)
    assert found["voiceagent_response_queue_depth", ()] == 0
    assert found["voiceagent_responses_total", (("origin", "operator"), ("outcome", "completed"))] == 1
    assert found["voiceagent_responses_total", (("origin", "other"), ("outcome", "other"))] == 1
    buckets = {
        dict(labels)["le"]: v
        for (n, labels), v in found.items()
        if n.endswith("to_speech_seconds_bucket") and dict(labels)["origin"] == "operator"
    }
    assert buckets["0.3"] == 0
    assert buckets["0.5"] == 1


def test_every_method_moves_a_figure() -> None:
    metrics = Metrics(version="1.2")
    before = figures(metrics)
    metrics.turn_answered(0.5, {"model": 0.4})
    metrics.barged_in()
    metrics.fell_silent(0.03)
    metrics.notice("rate_limited")
    metrics.overlap_prevented()
    metrics.sip_dropped("too_large", 3)
    metrics.sip_retransmitted("response")
    metrics.rtp(received=50, sent=49, lost=2, late=1, foreign=4)
    metrics.rtp(received=-5)
    wheel = Lateness()
    wheel.add(1.5)
    metrics.watch_wheel(lambda: wheel)
    metrics.loop_lagged(-0.1)
    metrics.provider_up("embedded", True)
    metrics.provider_failed(None)
    metrics.engine_step("listen", 0.2)
    metrics.draining(True)
    metrics.limit("calls", 100)
    metrics.limit_reached("calls")
    metrics.watch("console_streams", lambda: 3)
    metrics.cluster_stood(True, 3)
    metrics.cluster_commanded("say", "done")
    after = figures(metrics)
    expected = {
        ("voiceagent_cluster_up", ()): 1,
        ("voiceagent_cluster_nodes", ()): 3,
        ("voiceagent_cluster_commands_total", (("op", "say"), ("result", "done"))): 1,
        ("voiceagent_turn_latency_seconds_count", ()): 1,
        ("voiceagent_barge_in_total", ()): 1,
        ("voiceagent_barge_in_stop_seconds_sum", ()): 0.03,
        ("voiceagent_sequencer_notices_total", (("code", "rate_limited"),)): 1,
        ("voiceagent_overlap_prevented_total", ()): 1,
        ("voiceagent_sip_dropped_total", (("why", "too_large"),)): 3,
        ("voiceagent_sip_retransmissions_total", (("kind", "response"),)): 1,
        ("voiceagent_rtp_packets_received_total", ()): 50,
        ("voiceagent_rtp_packets_sent_total", ()): 49,
        ("voiceagent_rtp_packets_lost_total", ()): 2,
        ("voiceagent_audio_late_frames_total", ()): 1,
        ("voiceagent_rtp_packets_foreign_total", ()): 4,
        ("voiceagent_wheel_lateness_seconds_sum", ()): 0.0015,
        ("voiceagent_event_loop_lag_seconds_count", ()): 1,
        ("voiceagent_event_loop_lag_seconds_sum", ()): 0,
        ("voiceagent_provider_up", (("provider", "embedded"),)): 1,
        ("voiceagent_provider_errors_total", (("code", "other"),)): 1,
        ("voiceagent_engine_step_seconds_sum", (("step", "listen"),)): 0.2,
        ("voiceagent_draining", ()): 1,
        ("voiceagent_limit", (("name", "calls"),)): 100,
        ("voiceagent_limit_reached_total", (("name", "calls"),)): 1,
        ("voiceagent_console_streams", ()): 3,
        ("voiceagent_build_info", (("version", "1.2"),)): 1,
    }
    assert {key: after[key] for key in expected} == expected
    assert before != after


def test_no_outsider_can_grow_the_number_of_series() -> None:
    metrics = Metrics()
    for number in range(5 * MAX_CODES):
        metrics.notice(f"code_{number}")
        metrics.call_ended(f"outcome_{number}")
        metrics.provider_failed(f"<script>{number}")
    found = figures(metrics)
    for name in ("voiceagent_sequencer_notices_total", "voiceagent_calls_total"):
        assert sum(1 for n, _ in found if n == name) == MAX_CODES + 1
    errors = [labels for n, labels in found if n == "voiceagent_provider_errors_total"]
    assert errors == [(("code", "other"),)]


def test_two_nodes_in_one_process_do_not_meet() -> None:
    first, second = Metrics(), Metrics()
    first.call_started()
    assert figures(second)["voiceagent_calls_active", ()] == 0


def test_quality_is_counted_in_base_units_and_unknown_figures_are_left_out() -> None:
    metrics = Metrics()
    metrics.call_quality(
        {
            "mos": 4.2,
            "jitter_ms": 20.0,
            "loss_percent": 5.0,
            "round_trip_ms": 150.0,
            "srtp_refused": 7.0,
            "x": 1.0,
        }
    )
    metrics.call_quality({})
    text = metrics.render()
    for line in (
        "voiceagent_call_mos_sum 4.2",
        "voiceagent_call_jitter_seconds_sum 0.02",
        "voiceagent_call_loss_ratio_sum 0.05",
        "voiceagent_call_round_trip_seconds_sum 0.15",
        "voiceagent_call_remote_loss_ratio_count 0.0",
        "voiceagent_call_mos_count 1.0",
        "voiceagent_srtp_packets_refused_total 7.0",
    ):
        assert f"\n{line}\n" in text, line


def test_what_is_served_in_pieces_is_everything_and_no_piece_is_much_of_it() -> None:
    metrics = Metrics(version="1")
    for number in range(20):
        metrics.notice(f"code_{number}")
    pieces = list(metrics.pieces())
    once = generate_latest(metrics.registry).decode("utf-8")
    told = [line for line in once.splitlines() if "process_" not in line]  # they move between two looks
    assert [line for line in metrics.render().splitlines() if "process_" not in line] == told
    assert len(pieces) > 80
    assert max(len(piece) for piece in pieces) < len(once) / 4
