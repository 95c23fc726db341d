"""A microphone far away: its frames are played in order, what is late is dropped, silence is counted."""

from __future__ import annotations

import random

from voiceagent.media.microphone import LEAD, MOST, WINDOW, Microphone


def frame(number: int) -> bytes:
    return number.to_bytes(2) * 80


def numbers(taken: list[bytes | None]) -> list[int | None]:
    return [None if one is None else int.from_bytes(one[:2]) for one in taken]


def test_it_begins_with_a_lead_and_keeps_the_order() -> None:
    microphone = Microphone()
    taken: list[bytes | None] = []
    for number in range(20):
        microphone.put(frame(number))
        taken.append(microphone.take())
    assert numbers(taken) == [None] * (LEAD - 1) + list(range(20 - LEAD + 1))
    assert microphone.dropped == 0


def test_after_a_gap_it_waits_for_a_lead_again_and_counts_the_slots_without_sound() -> None:
    microphone = Microphone()
    for number in range(LEAD):
        microphone.put(frame(number))
    assert numbers([microphone.take() for _ in range(LEAD + 3)])[LEAD:] == [None] * 3
    assert microphone.starved == 3
    microphone.put(frame(9))
    assert microphone.take() is None
    for number in (10, 11):
        microphone.put(frame(number))
    assert numbers([microphone.take()]) == [9]
    assert microphone.starved == 0


def test_a_burst_after_a_stall_leaves_only_the_newest() -> None:
    microphone = Microphone()
    for number in range(100):
        microphone.put(frame(number))
    first = numbers([microphone.take()])[0]
    assert first is not None
    assert first >= 100 - MOST
    assert microphone.dropped > 80


def test_no_delay_stays_that_is_never_needed() -> None:
    microphone = Microphone()
    for number in range(12):
        microphone.put(frame(number))
    delay = 0
    for number in range(12, 12 + 10 * WINDOW):
        microphone.put(frame(number))
        taken = numbers([microphone.take()])[0]
        assert taken is not None
        delay = number - taken
    assert delay <= LEAD + 1


def test_jitter_within_the_lead_loses_nothing() -> None:
    dice = random.Random(3)
    microphone, arrivals = Microphone(), sorted((n + dice.uniform(0, LEAD - 1), n) for n in range(500))
    arrivals.sort()
    heard: list[int] = []
    slot, waiting = 0, [n for _, n in arrivals]
    times = [at for at, _ in arrivals]
    order = sorted(waiting)  # TCP keeps the order
    index = 0
    while slot < 520:
        while index < 500 and times[index] <= slot:
            microphone.put(frame(order[index]))
            index += 1
        taken = numbers([microphone.take()])[0]
        if taken is not None:
            heard.append(taken)
        slot += 1
    assert heard == sorted(set(heard))
    assert len(heard) > 480
