"""The turn detector alone: offsets, padding, silence, hysteresis, echo guard, idle time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voiceagent.engine.turns import (
    GUARD_ONSET_MS,
    IdleTimeout,
    SpeechPaused,
    SpeechStarted,
    SpeechStopped,
    TurnDetector,
    TurnEvent,
    TurnRules,
)

FRAME = 20


def run(
    detector: TurnDetector, *pieces: tuple[float, int], agent_heard: bool = False, frame: int = FRAME
) -> list[TurnEvent]:
    """Feed (probability, ms) pieces in frames."""
    events: list[TurnEvent] = []
    for probability, ms in pieces:
        for _ in range(ms // frame):
            events += detector.feed(probability, frame, agent_heard=agent_heard)
    return events


def test_offsets_include_padding_and_silence() -> None:
    detector = TurnDetector(TurnRules(prefix_padding_ms=300, silence_duration_ms=500))
    events = run(detector, (0.0, 1000), (0.9, 400), (0.0, 1000))
    assert events == [SpeechStarted(700), SpeechStopped(1900)]


def test_padding_never_reaches_before_the_start_or_into_the_last_turn() -> None:
    detector = TurnDetector(TurnRules(prefix_padding_ms=300, silence_duration_ms=200))
    assert run(detector, (0.9, 100), (0.0, 200)) == [SpeechStarted(0), SpeechStopped(300)]
    assert run(detector, (0.0, 100), (0.9, 100)) == [SpeechStarted(300)]


def test_a_click_is_no_speech() -> None:
    detector = TurnDetector(TurnRules())
    assert run(detector, (0.0, 100), (0.9, 40), (0.0, 100), (0.9, 40), (0.0, 100)) == []


def test_a_pause_shorter_than_the_silence_does_not_split() -> None:
    detector = TurnDetector(TurnRules(silence_duration_ms=500))
    events = run(detector, (0.9, 200), (0.0, 480), (0.9, 200), (0.0, 500))
    assert events == [SpeechStarted(0), SpeechStopped(1380)]


def test_between_both_thresholds_speech_neither_begins_nor_ends() -> None:
    detector = TurnDetector(TurnRules(threshold=0.5))
    assert run(detector, (0.4, 2000)) == []
    assert run(detector, (0.9, 100), (0.4, 5000)) == [SpeechStarted(1700)]
    assert detector.speaking
    assert run(detector, (0.3, 500)) == [SpeechStopped(7600)]


def test_silence_of_zero_ends_with_the_first_unvoiced_frame() -> None:
    detector = TurnDetector(TurnRules(silence_duration_ms=0))
    assert run(detector, (0.9, 100), (0.0, 20)) == [SpeechStarted(0), SpeechStopped(120)]


def test_the_echo_guard_wants_more_and_longer_voice() -> None:
    detector = TurnDetector(TurnRules(threshold=0.5))
    assert run(detector, (0.6, 3000), agent_heard=True) == [], "leaking voice below the raised threshold"
    assert run(detector, (0.0, 100), (0.95, 140), (0.0, 100), agent_heard=True) == [], "too short"
    assert run(detector, (0.95, 160), agent_heard=True) == [SpeechStarted(3040)]
    assert GUARD_ONSET_MS >= 150


def test_the_guard_can_still_be_passed_at_the_highest_threshold() -> None:
    detector = TurnDetector(TurnRules(threshold=1.0))
    assert run(detector, (1.0, 200), agent_heard=True) == [SpeechStarted(0)]


def test_idle_time_counts_from_the_agents_last_sound() -> None:
    detector = TurnDetector(TurnRules(idle_timeout_ms=1000))
    assert run(detector, (0.0, 3000)) == [], "nothing was said yet"
    detector.arm_idle()
    assert run(detector, (0.0, 500), agent_heard=True) == []
    assert run(detector, (0.0, 2000)) == [IdleTimeout(3500, 4500)]
    assert run(detector, (0.0, 5000)) == [], "only once"


def test_idle_time_ends_with_speech_or_a_response() -> None:
    detector = TurnDetector(TurnRules(idle_timeout_ms=1000, silence_duration_ms=100))
    detector.arm_idle()
    assert run(detector, (0.0, 500), (0.9, 100), (0.0, 3000)) == [SpeechStarted(200), SpeechStopped(700)]
    detector.arm_idle()
    detector.disarm_idle()
    assert run(detector, (0.0, 3000)) == []


def test_a_turn_given_up_by_hand_has_no_end() -> None:
    detector = TurnDetector(TurnRules(prefix_padding_ms=300))
    assert run(detector, (0.0, 500), (0.9, 200)) == [SpeechStarted(200)]
    detector.abandon()
    assert run(detector, (0.0, 1000)) == []


def test_pauses_are_told_on_demand_and_again_when_speech_went_on() -> None:
    detector = TurnDetector(TurnRules(silence_duration_ms=500, tell_pauses=True))
    events = run(detector, (0.9, 200), (0.0, 300), (0.9, 200), (0.0, 500))
    assert events == [SpeechStarted(0), SpeechPaused(460), SpeechPaused(960), SpeechStopped(1200)]
    short = TurnDetector(TurnRules(silence_duration_ms=200, tell_pauses=True))
    assert run(short, (0.9, 200), (0.0, 300)) == [SpeechStarted(0), SpeechStopped(400)]


def test_semantic_vad_is_emulated_by_silence() -> None:
    eager = TurnRules.from_wire({"type": "semantic_vad", "eagerness": "high"})
    patient = TurnRules.from_wire({"type": "semantic_vad", "eagerness": "low"})
    assert eager.silence_duration_ms < patient.silence_duration_ms


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.3, 0.4, 0.5, 0.7, 1.0]), st.booleans()), max_size=300),
    st.integers(0, 600),
    st.integers(0, 600),
)
def test_edges_alternate_and_never_go_back(
    frames: list[tuple[float, bool]], padding: int, silence: int
) -> None:
    detector = TurnDetector(TurnRules(prefix_padding_ms=padding, silence_duration_ms=silence))
    last, speaking = 0, False
    for probability, agent in frames:
        for event in detector.feed(probability, FRAME, agent_heard=agent):
            match event:
                case SpeechStarted(at):
                    assert not speaking
                    speaking = True
                case SpeechStopped(at):
                    assert speaking
                    speaking = False
                case IdleTimeout() | SpeechPaused():
                    raise AssertionError("never armed")
            assert last <= at <= detector.now_ms
            last = at
    assert detector.now_ms == FRAME * len(frames)
