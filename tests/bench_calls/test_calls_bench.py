"""The bench measures what it says: stamps, percentiles, verdicts, and one short real run."""

import pytest

from voiceagent.bench.calls import run_calls_bench
from voiceagent.bench.everything import run_whole_calls_bench
from voiceagent.bench.inputs import run_inputs_bench
from voiceagent.bench.load_frames import percentile, read_stamp, spread, stamped
from voiceagent.bench.load_server import call_number
from voiceagent.bench.report import GOALS, median_of, render, verdicts
from voiceagent.call.dead_air import is_sound


@pytest.mark.parametrize("loud", [True, False])
def test_stamps_go_round_and_other_audio_has_none(loud: bool):
    frame = stamped(300, 7, 123456789, loud=loud)
    assert len(frame) == 160
    assert is_sound(frame, "audio/pcmu") is loud
    assert read_stamp(frame) == (300, 7, 123456789, loud)
    assert read_stamp(b"\xff" * 160) is None
    assert read_stamp(b"") is None
    assert read_stamp(b"xx" + frame, 2) == (300, 7, 123456789, loud)


def test_percentiles_are_of_the_values_themselves():
    values = list(range(1, 101))
    assert percentile(values, 50) == 50
    assert percentile(values, 99) == 99
    assert percentile(values, 100) == 100
    assert percentile([], 50) == 0
    assert percentile([5.0], 1) == 5.0
    assert spread([1.0, 2.0, 3.0], 50, 100) == {"p50": 2.0, "max": 3.0}


def test_the_call_is_in_the_model_name():
    assert call_number("/v1/realtime?model=call-42") == 42


@pytest.mark.loopback
def test_a_short_run_has_every_figure_and_loses_nothing():
    figures = run_calls_bench(2, 1.0, warm_up_s=0.2)
    load = figures["load"]
    assert figures["calls"] == 2
    assert load["sessions"] == 2
    assert load["packets_received"] > 0
    assert figures["uplink_ms"]["p50"] > 0
    assert figures["core_percent_per_call"] > 0
    assert figures["frames_lost"] == 0
    assert figures["wheel"]["errors"] == 0
    text = render(figures)
    assert all(goal.label in text for goal in GOALS)
    assert len(verdicts(figures)) == len(GOALS)
    middle = median_of([figures, {**figures, "memory_kb_per_call": 1e9}, figures])
    assert middle["memory_kb_per_call"]["median"] == figures["memory_kb_per_call"]
    assert middle["memory_kb_per_call"]["max"] == 1e9


@pytest.mark.loopback
def test_whole_calls_are_measured_without_their_inputs_and_with_them():
    figures = run_inputs_bench(2, 1.0, 1, warm_up_s=0.2)
    taken, kept = figures["cpu_ms_per_call_second"], figures["journal_kb_per_call"]
    assert len(taken["without"]) == len(taken["with"]) == len(figures["added_percent_pairs"]) == 1
    assert kept["with"] > kept["without"] > 0, "both converse, and one of them writes what enters"


@pytest.mark.loopback
def test_whole_calls_with_everything_on_have_the_same_figures_and_more():
    figures = run_whole_calls_bench(2, 1.0, warm_up_s=0.2)
    assert figures["load"]["sessions"] == 2
    assert figures["load"]["packets_received"] > 0
    assert figures["uplink_ms"]["p50"] > 0
    assert figures["frames_lost"] == figures["wheel"]["errors"] == figures["journal_dropped"] == 0
    assert figures["journal_kb_per_call"] > 0
    assert figures["collector"]["generation_2"]["turns"] >= 1, "the one before the first call is seen"
    assert len(verdicts(figures)) == len(GOALS)
