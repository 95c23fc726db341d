"""The wheel in virtual time: every port its slot, late ticks skip and never bunch."""

import asyncio
import itertools
import os
import random
from collections.abc import Iterator

import pytest

from voiceagent.media.wheel import MediaWheel


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Pipe:
    """A port that notes when it is served."""

    def __init__(self, clock: Clock) -> None:
        self.due = 0
        self.turning = False
        self._clock = clock
        self._read, self._write = os.pipe()
        self.frames: list[tuple[float, int]] = []
        self.reads = 0
        self.shift = 0
        self.fail = False

    def fileno(self) -> int:
        return self._read

    def ring(self) -> None:
        os.write(self._write, b"x")

    def readable(self, now: float) -> None:
        os.read(self._read, 1)
        self.reads += 1

    def frame(self, now: float, skipped: int) -> int:
        self.frames.append((round((now - 1000) * 1000, 3), skipped))
        if self.fail:
            raise RuntimeError("broken port")
        shift, self.shift = self.shift, 0
        return shift

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tick_ms() -> int:
    """Short ticks show the order of things best; what must hold for all lengths asks for others, too."""
    return 2


every_tick = pytest.mark.parametrize("tick_ms", [2, 5])


@pytest.fixture
def wheel(clock: Clock, pipes: list[Pipe], tick_ms: int) -> Iterator[MediaWheel]:  # the pipes outlive it
    wheel = MediaWheel(tick_ms=tick_ms, timer="none", clock=clock)
    yield wheel
    wheel.close()


@pytest.fixture
def pipes(clock: Clock) -> Iterator[list[Pipe]]:
    made = [Pipe(clock) for _ in range(20)]
    yield made
    for pipe in made:
        pipe.close()


def advance(wheel: MediaWheel, clock: Clock, ms: float) -> None:
    clock.now += ms / 1000
    wheel.tick()


@every_tick
def test_each_port_is_served_every_20_ms_and_slots_are_spread(
    wheel: MediaWheel, clock: Clock, pipes: list[Pipe], tick_ms: int
):
    for pipe in pipes:
        wheel.attach(pipe)
    for _ in range(200 // tick_ms):
        advance(wheel, clock, tick_ms)
    for pipe in pipes:
        times = [at for at, _ in pipe.frames]
        assert len(times) == 10
        assert all(round(after - before, 3) == 20 for before, after in itertools.pairwise(times))
        assert all(skipped == 0 for _, skipped in pipe.frames)
    slots = [pipe.frames[0][0] % 20 for pipe in pipes]
    assert sorted(slots) == sorted(float(tick_ms) * (slot % wheel.slots) for slot in range(20))


@every_tick
def test_a_late_tick_serves_each_port_once_and_keeps_the_grid(
    wheel: MediaWheel, clock: Clock, pipes: list[Pipe], tick_ms: int
):
    for pipe in pipes[:10]:
        wheel.attach(pipe)
    for _ in range(100 // tick_ms):
        advance(wheel, clock, tick_ms)
    for stall in (6, 18, 20, 30, 44, 58, 60, 62, 200, 1000):
        before = {pipe: pipe.frames[-1] for pipe in pipes[:10]}
        counts = {pipe: len(pipe.frames) for pipe in pipes[:10]}
        slots = {pipe: pipe.due % wheel.slots for pipe in pipes[:10]}
        advance(wheel, clock, stall)
        for pipe in pipes[:10]:
            assert len(pipe.frames) - counts[pipe] <= 1
        for _ in range(40 // tick_ms):
            advance(wheel, clock, tick_ms)
        for pipe in pipes[:10]:
            served = pipe.frames[counts[pipe] :]
            elapsed = served[-1][0] - before[pipe][0]
            frames = len(served) + sum(skipped for _, skipped in served)
            assert abs(elapsed / 20 - frames) < 1, (stall, served)
            assert pipe.due % wheel.slots == slots[pipe]


def test_hasten_and_shift_move_one_port_only(wheel: MediaWheel, clock: Clock, pipes: list[Pipe]):
    one, other = pipes[:2]
    wheel.attach(one)
    wheel.attach(other)
    for _ in range(20):
        advance(wheel, clock, 2)
    while one.due - round((clock.now - 1000) * 500) != 7:
        advance(wheel, clock, 2)
    count = len(one.frames)
    assert wheel.hasten(one) == 6
    assert wheel.hasten(one) == 0
    advance(wheel, clock, 2)
    assert len(one.frames) == count + 1
    moved = one.frames[-1][0]
    for _ in range(9):
        advance(wheel, clock, 2)
    assert len(one.frames) == count + 1
    one.shift = -4
    advance(wheel, clock, 2)
    assert one.frames[-1][0] == pytest.approx(moved + 20)
    for _ in range(6):
        advance(wheel, clock, 2)
    assert one.frames[-1][0] == pytest.approx(moved + 32)
    times = [at for at, _ in other.frames]
    assert all(round(after - before, 3) == 20 for before, after in itertools.pairwise(times))


def test_random_loads_and_stalls(clock: Clock, wheel: MediaWheel, pipes: list[Pipe]):
    rng = random.Random(3)
    attached: list[Pipe] = []
    for _ in range(3000):
        chance = rng.random()
        if chance < 0.02 and len(attached) < len(pipes):
            pipe = next(pipe for pipe in pipes if pipe not in attached)
            pipe.frames.clear()
            wheel.attach(pipe)
            attached.append(pipe)
        elif chance < 0.03 and attached:
            pipe = attached.pop(rng.randrange(len(attached)))
            wheel.detach(pipe)
            wheel.detach(pipe)
            assert not pipe.turning
        elif chance < 0.06 and attached:
            wheel.hasten(rng.choice(attached))
        before = {pipe: len(pipe.frames) for pipe in pipes}
        advance(wheel, clock, rng.choice((2, 2, 2, 2, 2, 2, 2.3, 4, 9, 25, 70)))
        for pipe in pipes:
            grown = len(pipe.frames) - before[pipe]
            assert grown <= (1 if pipe in attached else 0)
        for pipe in attached:
            # Whoever was served is served again within a revolution, give or take one late tick.
            if pipe.frames:
                assert (clock.now - 1000) * 1000 - pipe.frames[-1][0] < 22


@pytest.mark.parametrize(
    ("tick_ms", "shift"), [(2, shift) for shift in range(-9, 10)] + [(5, shift) for shift in range(-3, 4)]
)
def test_no_stall_of_any_length_loses_a_port_that_moves_within_it(clock: Clock, tick_ms: int, shift: int):
    """Whoever goes back to his slot in the tick that ends a stall is served again within two revolutions."""
    slots = 20 // tick_ms
    for stall, slot in itertools.product(range(1, 8 * slots), range(slots)):
        wheel = MediaWheel(tick_ms=tick_ms, timer="none", clock=clock)
        one = Pipe(clock)
        wheel.attach(one)
        for _ in range(2 * slots + slot):
            advance(wheel, clock, tick_ms)
        one.shift = shift
        advance(wheel, clock, tick_ms * stall)
        one.frames.clear()
        for _ in range(2 * slots):
            advance(wheel, clock, tick_ms)
        assert one.frames, f"lost after a stall of {tick_ms * stall} ms"
        wheel.close()
        one.close()


def test_sockets_are_read_once_a_tick_and_errors_stop_nothing(
    wheel: MediaWheel, clock: Clock, pipes: list[Pipe], caplog: pytest.LogCaptureFixture
):
    bad, good = pipes[:2]
    bad.fail = True
    wheel.attach(bad)
    wheel.attach(good)
    good.ring()
    good.ring()
    for _ in range(20):
        advance(wheel, clock, 2)
    assert good.reads == 2
    assert len(good.frames) == 2
    assert len(bad.frames) == 2
    assert wheel.errors == 2
    assert "a media port failed" in caplog.text


def test_after_a_stall_what_piled_up_is_read_at_once(wheel: MediaWheel, clock: Clock, pipes: list[Pipe]):
    pipe = pipes[0]
    wheel.attach(pipe)
    advance(wheel, clock, 2)
    for _ in range(10):
        pipe.ring()
    advance(wheel, clock, 2)
    assert pipe.reads == 2
    advance(wheel, clock, 180)
    assert pipe.reads == 10


@every_tick
def test_what_piled_up_on_the_way_is_made_up_for_while_frames_of_5_ms_go_on(
    wheel: MediaWheel, clock: Clock, pipes: list[Pipe], tick_ms: int
):
    pipe, rung = pipes[0], 0
    wheel.attach(pipe)
    for step in range(200 // tick_ms):
        while rung < 10 + step * tick_ms // 5:
            pipe.ring()
            rung += 1
        advance(wheel, clock, tick_ms)
    assert pipe.reads == rung


def test_lateness_is_measured(wheel: MediaWheel, clock: Clock, pipes: list[Pipe]):
    wheel.attach(pipes[0])
    for _ in range(100):
        advance(wheel, clock, 2)
    assert wheel.lateness.percentile(99) <= 0.1
    advance(wheel, clock, 32)
    assert wheel.lateness.max_ms == pytest.approx(30)
    assert wheel.lateness.percentile(50) <= 0.1


@pytest.mark.parametrize("tick_ms", [0, 3, 20, 40])
def test_tick_lengths_that_do_not_divide_a_frame_are_refused(tick_ms: int):
    with pytest.raises(ValueError):
        MediaWheel(tick_ms=tick_ms, timer="none")


@pytest.mark.loopback
@pytest.mark.parametrize("timer", ["auto", "loop"])
async def test_a_real_timer_turns_only_while_there_are_ports(timer, pipes: list[Pipe]):
    wheel = MediaWheel(timer=timer)
    served = asyncio.Event()

    class Ringing(Pipe):
        def frame(self, now: float, skipped: int) -> int:
            served.set()
            return 0

    port = Ringing(Clock())
    assert wheel.timer == "off"
    wheel.attach(port)
    assert wheel.timer in ("timerfd", "loop")
    await served.wait()
    wheel.detach(port)
    assert wheel.timer == "off"
    served.clear()
    wheel.attach(port)
    await served.wait()
    wheel.close()
    assert len(wheel) == 0
    port.close()
