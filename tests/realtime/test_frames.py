"""Two lanes out: control first, audio bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voiceagent.realtime.frames import WriteLanes


def drain(lanes: WriteLanes) -> list[bytes]:
    out: list[bytes] = []
    while (data := lanes.take()) is not None:
        out.append(data)
    return out


def test_control_overtakes_audio() -> None:
    lanes = WriteLanes()
    lanes.put_audio(b"a1")
    lanes.put(b"c1")
    lanes.put_audio(b"a2")
    lanes.put(b"c2")
    assert lanes
    assert lanes.size == 8
    assert drain(lanes) == [b"c1", b"c2", b"a1", b"a2"]
    assert not lanes
    assert lanes.size == 0


def test_the_oldest_audio_goes_first_and_commits_stay() -> None:
    lanes = WriteLanes(audio_limit=10)
    lanes.put_audio(b"11111")
    lanes.put_audio(b"commt", keep=True)
    lanes.put_audio(b"22222")
    lanes.put_audio(b"33333")
    assert lanes.dropped == 2
    assert drain(lanes) == [b"commt", b"33333"]


@given(st.lists(st.tuples(st.sampled_from("cak"), st.integers(1, 9)), max_size=60))
def test_nothing_that_must_stay_is_lost(plan: list[tuple[str, int]]) -> None:
    lanes = WriteLanes(audio_limit=30)
    control: list[bytes] = []
    kept: list[bytes] = []
    for number, (lane, size) in enumerate(plan):
        data = f"{lane}{number}".encode().ljust(size + 4, b".")
        if lane == "c":
            lanes.put(data)
            control.append(data)
        else:
            lanes.put_audio(data, keep=lane == "k")
            if lane == "k":
                kept.append(data)
    out = drain(lanes)
    assert out[: len(control)] == control
    assert [data for data in out if data[:1] == b"k"] == kept
    numbers = [int(data.rstrip(b".")[1:]) for data in out[len(control) :]]
    assert numbers == sorted(numbers)
    droppable = sum(len(data) for data in out if data[:1] == b"a")
    assert droppable <= 30
