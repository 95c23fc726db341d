"""What was heard is what was taken, sample for sample."""

from hypothesis import given, settings
from hypothesis import strategies as st

from voiceagent.media.playout import FRAME, Heard, Playout, Started


def drain(playout: Playout) -> bytes:
    out = b""
    while (frame := playout.take()) is not None:
        out += frame
    return out


def test_frames_come_whole_and_the_rest_waits_for_the_end():
    playout = Playout()
    playout.write(b"a" * 250, "r", "i")
    assert playout.take() == b"a" * 160
    assert playout.facts == [Started("r", "i")]
    assert playout.take() is None
    assert playout.waiting == 90
    playout.end("r")
    assert playout.take() == b"a" * 90 + b"\xff" * 70
    assert playout.facts == [Started("r", "i")]
    assert playout.take() is None
    assert playout.facts[1:] == [Heard("r", "i", 250 // 8, False, 250)]
    assert not playout.busy


def test_padding_is_the_silence_of_the_law():
    playout = Playout(0xD5)
    playout.write(b"x", "r", "i")
    playout.end("r")
    assert playout.take() == b"x" + b"\xd5" * 159


def test_items_of_a_response_flow_into_each_other():
    playout = Playout()
    playout.write(b"a" * 200, "r", "one")
    playout.write(b"b" * 200, "r", "two")
    playout.end("r")
    frames = [playout.take(), playout.take()]
    assert frames == [b"a" * 160, b"a" * 40 + b"b" * 120]
    assert playout.facts == [Started("r", "one"), Heard("r", "one", 25, False, 200), Started("r", "two")]
    assert playout.take() == b"b" * 80 + b"\xff" * 80
    playout.take()
    assert playout.facts[3:] == [Heard("r", "two", 25, False, 200)]


def test_an_item_ends_one_frame_after_its_last_samples_even_when_the_end_is_said_late():
    playout = Playout()
    playout.write(b"a" * 160, "r", "i")
    assert playout.take()
    assert playout.take() is None
    assert playout.busy
    playout.end("r")
    assert playout.take() is None
    assert playout.facts[-1] == Heard("r", "i", 20, False, 160)


def test_flush_tells_what_was_heard_and_mutes_the_late_deltas():
    playout = Playout()
    playout.write(b"a" * 320, "r1", "i1")
    playout.write(b"b" * 160, "r2", "i2")
    playout.take()
    assert playout.flush() == [Heard("r1", "i1", 20, True, 160), Heard("r2", "i2", 0, True, 0)]
    assert playout.take() is None
    assert not playout.write(b"a" * 160, "r1", "i1")
    assert not playout.write(b"a" * 160, "r2", "i3")
    assert playout.take() is None
    assert playout.write(b"c" * 160, "r3", "i3")
    assert playout.take() == b"c" * 160
    assert playout.flush() == [Heard("r3", "i3", 20, True, 160)]


def test_flush_in_the_last_frame_is_no_cut():
    playout = Playout()
    playout.write(b"a" * 160, "r", "i")
    playout.end("r")
    playout.take()
    assert playout.flush() == [Heard("r", "i", 20, False, 160)]
    assert playout.flush() == []


def test_a_new_response_may_begin_before_the_old_one_was_ended():
    playout = Playout()
    playout.write(b"a" * 100, "r1", "i1")
    playout.write(b"b" * 60, "r2", "i2")
    assert playout.take() == b"a" * 100 + b"b" * 60
    playout.end("r1")
    playout.end("r2")
    playout.take()
    assert [fact for fact in playout.facts if isinstance(fact, Heard)] == [
        Heard("r1", "i1", 12, False, 100),
        Heard("r2", "i2", 7, False, 60),
    ]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 700), st.integers(0, 3)),
        st.tuples(st.just("take"), st.integers(1, 6), st.just(0)),
        st.tuples(st.just("end"), st.just(0), st.integers(0, 3)),
        st.tuples(st.just("flush"), st.just(0), st.just(0)),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(steps)
def test_every_sample_is_heard_once_in_order_and_accounted_for(actions: list[tuple[str, int, int]]):
    playout = Playout(0)
    counter = 0
    generation = 0
    queued: list[int] = []  # running numbers of samples that must still be heard, in order
    heard_accounts: list[Heard] = []
    taken = 0
    started: list[tuple[str, str]] = []

    def harvest() -> None:
        for fact in playout.facts:
            if isinstance(fact, Heard):
                assert not fact.cut
                heard_accounts.append(fact)
            else:
                started.append((fact.response_id, fact.item_id))
        playout.facts.clear()

    def take() -> None:
        nonlocal taken
        ready = playout.ready
        frame = playout.take()
        harvest()
        assert (frame is not None) == ready
        if frame is None:
            return
        assert len(frame) == FRAME
        real = min(FRAME, len(queued))
        expected = bytes(number % 255 + 1 for number in queued[:real])
        assert frame == expected + bytes(FRAME - real)
        del queued[:real]
        taken += real

    for kind, size, which in actions:
        response = f"r{generation}.{which // 2}"
        item = f"i{which}"
        if kind == "write":
            numbers = list(range(counter, counter + size))
            counter += size
            if playout.write(bytes(number % 255 + 1 for number in numbers), response, item):
                queued.extend(numbers)
        elif kind == "take":
            for _ in range(size):
                take()
        elif kind == "end":
            playout.end(response)
        else:
            heard_accounts.extend(playout.flush())
            queued.clear()
            generation += 1
        assert playout.waiting == len(queued)
    for which in (0, 2):
        playout.end(f"r{generation}.{which // 2}")
    while playout.ready:
        take()
    take()
    heard_accounts.extend(playout.flush())
    assert sum(account.samples for account in heard_accounts) == taken
    assert all(account.heard_ms == account.samples // 8 for account in heard_accounts)
    assert len(started) == sum(account.samples > 0 for account in heard_accounts)


def test_an_item_ends_before_the_next_one_starts_even_within_one_frame() -> None:
    playout = Playout()
    playout.write(b"a" * 200, "resp-1", "item-1")
    playout.end("resp-1")
    playout.write(b"b" * 200, "resp-2", "item-2")
    playout.end("resp-2")
    told: list[tuple[str, str]] = []
    for _ in range(4):
        playout.take()
        told += [(type(fact).__name__, fact.response_id) for fact in playout.facts]
        playout.facts = []
    assert told == [("Started", "resp-1"), ("Heard", "resp-1"), ("Started", "resp-2"), ("Heard", "resp-2")]
