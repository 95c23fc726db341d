"""Ports are even, rest after use, and run out with a clear error."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceagent.errors import MediaError
from voiceagent.media.ports import PortRange


def test_only_even_ports_each_once():
    ports = PortRange(30001, 30010, start=3)
    taken = [ports.take(0) for _ in range(ports.size)]
    assert sorted(taken) == [30002, 30004, 30006, 30008, 30010]
    assert taken[0] == 30008
    with pytest.raises(MediaError) as error:
        ports.take(0)
    assert error.value.code == "no_port"


def test_a_used_port_rests_for_thirty_seconds():
    ports = PortRange(30000, 30019)
    first = ports.take(0)
    ports.give_back(first, 10)
    others = [ports.take(11) for _ in range(8)]
    assert first not in others
    assert ports.take(12) not in (first, *others)
    with pytest.raises(MediaError):
        PortRange(30000, 30001).take(0) and ports.take(39.9) and ports.take(39.9)


def test_a_pressed_range_takes_the_longest_rested():
    ports = PortRange(30000, 30019)
    taken = [ports.take(0) for _ in range(10)]
    ports.give_back(taken[4], 1)
    assert ports.take(2) == taken[4]  # nine of ten in use
    ports.give_back(taken[1], 3)
    ports.give_back(taken[2], 4)
    with pytest.raises(MediaError):
        ports.take(5)  # eight of ten: not pressed, so they rest
    assert ports.take(33) == taken[1]


def test_giving_back_twice_or_what_is_not_ours_does_nothing():
    ports = PortRange(30000, 30003)
    port = ports.take(0)
    ports.give_back(port, 0)
    ports.give_back(port, 0)
    ports.give_back(31000, 0)
    assert ports.in_use == 0
    assert {ports.take(31), ports.take(31)} == {30000, 30002}


@pytest.mark.parametrize("bounds", [(80, 90), (40000, 39998), (40000, 70000), (40001, 40001)])
def test_impossible_ranges_are_refused(bounds: tuple[int, int]):
    with pytest.raises(MediaError) as error:
        PortRange(*bounds)
    assert error.value.code == "port_range"


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=200))
def test_never_two_users_of_a_port_and_never_early_below_the_pressure(steps: list[tuple[bool, int]]):
    ports = PortRange(30000, 30019)
    now = 0.0
    used: list[int] = []
    freed: dict[int, float] = {}
    for give, pause in steps:
        now += pause
        if give and used:
            port = used.pop(pause % len(used))
            ports.give_back(port, now)
            freed[port] = now
            continue
        try:
            port = ports.take(now)
        except MediaError:
            assert len(used) <= 10
            continue
        assert port not in used
        if port in freed and len(used) <= 8:
            assert now - freed[port] >= 30
        used.append(port)
        assert ports.in_use == len(used)
