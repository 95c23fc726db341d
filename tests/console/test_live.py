"""The live stream: order, resume, snapshots, slow readers, endings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Any, cast

import pytest

from voiceagent.app.fleet import FleetDirectory
from voiceagent.console import live, snapshots
from voiceagent.console.app import close_streams
from voiceagent.console.live import encode
from voiceagent.console.ports import CallView, LiveEvent

from .fake_directory import FakeDirectory, a_call
from .kit import PATIENCE_S, an_app, streaming


async def test_a_new_reader_gets_a_snapshot_then_events_in_order() -> None:
    directory = FakeDirectory()
    directory.put_call(a_call("c1"))
    async with streaming(an_app(directory)) as reader:
        first = await reader.next()
        assert first is not None
        assert first.type == "snapshot"
        assert first.data["reason"] == "start"
        assert [call["id"] for call in first.data["calls"]] == ["c1"]
        assert reader.headers["content-type"].startswith("text/event-stream")
        directory.change("c1", floor="caller")
        directory.end_call("c1", "caller_hung_up")
        changed, ended = await reader.next(), await reader.next()
        assert changed is not None
        assert ended is not None
        assert (changed.type, changed.data["call_id"], changed.data["data"]["floor"]) == (
            "call.changed",
            "c1",
            "caller",
        )
        assert ended.type == "call.ended"


async def test_a_cut_reader_resumes_without_gap_or_repeat() -> None:
    directory = FakeDirectory()
    app = an_app(directory)
    async with streaming(app) as reader:
        await reader.next()
        directory.put_call(a_call("c1"))
        seen = await reader.next()
        assert seen is not None
        assert seen.id is not None
    directory.change("c1", step="menu")
    directory.change("c1", step="goodbye")
    async with streaming(app, headers={"Last-Event-ID": seen.id}) as reader:
        steps: list[str] = []
        for _ in range(2):
            event = await reader.next()
            assert event is not None
            assert event.type == "call.changed"
            steps.append(event.data["data"]["step"])
        assert steps == ["menu", "goodbye"]


async def test_what_was_forgotten_is_not_given_out_again() -> None:
    directory = FakeDirectory()
    app = an_app(directory)
    async with streaming(app) as gone, streaming(app) as reader:
        await reader.next()
        await gone.next()
        directory.put_call(a_call("c1"))
        seen = await reader.next()
        assert seen is not None
        assert seen.id is not None
        directory.change("c1", step="secret")
        await reader.next()
        directory.put_call(a_call("c2"))
        await reader.next()
        directory._calls.pop("c1")
        app.state.parts.streams.forget()
        anew = await reader.next()
        assert anew is not None
        assert (anew.type, anew.data["reason"]) == ("snapshot", "gap")
        assert [call["id"] for call in anew.data["calls"]] == ["c2"]
    async with streaming(app, headers={"Last-Event-ID": seen.id}) as reader:
        event = await reader.next()
        assert event is not None
        assert (event.type, event.data["reason"]) == ("snapshot", "gap")
    async with streaming(app, headers={"Last-Event-ID": anew.id or ""}) as reader:
        directory.change("c2", step="menu")
        event = await reader.next()
        assert event is not None
        assert event.type == "call.changed", "whoever has begun anew goes on from there"


async def test_an_id_too_old_to_resume_gets_a_snapshot() -> None:
    directory = FakeDirectory()
    app = an_app(directory)
    async with streaming(app) as reader:
        await reader.next()
        directory.put_call(a_call("c1"))
        seen = await reader.next()
        assert seen is not None
        assert seen.id is not None
    for number in range(1500):
        directory.change("c1", step=f"s{number}")
    async with streaming(app, headers={"Last-Event-ID": seen.id}) as reader:
        event = await reader.next()
        assert event is not None
        assert (event.type, event.data["reason"]) == ("snapshot", "gap")
        assert event.data["calls"][0]["step"] == "s1499"


async def test_an_id_of_another_process_gets_a_snapshot() -> None:
    directory = FakeDirectory()
    directory.put_call(a_call("c1"))
    for stale in ("deadbeef-1", "1", "x" * 5000, "-", "deadbeef-99999999999999999999"):
        async with streaming(an_app(directory), headers={"Last-Event-ID": stale}) as reader:
            event = await reader.next()
            assert event is not None
            assert (event.type, event.data["reason"]) == ("snapshot", "start")


async def test_a_slow_reader_loses_the_queue_and_gets_a_snapshot_he_can_resume_from() -> None:
    directory = FakeDirectory()
    app = an_app(directory, stream_queue=8)
    async with streaming(app) as reader:
        await reader.next()
        directory.put_call(a_call("c1"))
        await reader.next()
        reader.flowing.clear()
        for number in range(100):
            directory.change("c1", step=f"s{number}")
            await asyncio.sleep(0)
        reader.flowing.set()
        event = await reader.next()
        while event is not None and event.type != "snapshot":
            event = await reader.next()
        assert event is not None
        assert event.data["reason"] == "behind"
        assert event.data["dropped"] > 8
        assert event.data["calls"][0]["step"] == "s99"
        assert event.id is not None
        assert event.id.endswith("-101")
        directory.change("c1", step="after")
        following = await reader.next()
        assert following is not None
        assert following.data["data"]["step"] == "after"
    assert app.state.parts.streams.dropped >= event.data["dropped"]


async def test_one_slow_reader_does_not_hold_up_another() -> None:
    directory = FakeDirectory()
    app = an_app(directory, stream_queue=4)
    async with streaming(app) as slow, streaming(app) as quick:
        await slow.next()
        await quick.next()
        slow.flowing.clear()
        for number in range(50):
            directory.put_call(a_call(f"c{number}"))
            event = await quick.next()
            assert event is not None
            assert event.data["call_id"] == f"c{number}"


async def test_a_silent_stream_beats() -> None:
    app = an_app(FakeDirectory(), heartbeat_s=0.01)
    async with streaming(app) as reader:
        await reader.next()
        assert await reader.raw() == b": still here\n\n"


async def test_closing_ends_streams_with_goodbye_after_what_was_queued() -> None:
    directory = FakeDirectory()
    app = an_app(directory)
    async with streaming(app) as reader:
        await reader.next()
        directory.put_call(a_call("c1"))
        for _ in range(3):
            await asyncio.sleep(0)
        close_streams(app)
        types: list[str] = []
        while (event := await reader.next()) is not None:
            types.append(event.type)
        assert types == ["call.started", "bye"]
    async with streaming(app) as reader:
        await reader.raw()
        assert reader.status == 503


class SlowDirectory(FleetDirectory):
    """Does not let anybody follow until it is told to."""

    def __init__(self) -> None:
        super().__init__(cast("Any", FakeDirectory()))
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()

    async def follow(self, after: int | str | None = None) -> AsyncIterator[LiveEvent]:
        self.asked.set()
        await self.go_on.wait()
        return await super().follow(after)


async def test_a_reader_who_goes_before_the_stream_has_begun_is_forgotten() -> None:
    directory = SlowDirectory()
    streams = an_app(directory).state.parts.streams
    reading = asyncio.ensure_future(anext(streams.open(None, lambda: True).chunks()))
    await directory.asked.wait()
    assert len(streams) == 1
    reading.cancel()
    await asyncio.wait((reading,))
    assert len(streams) == 0
    assert await gone("console/live/pump")


@pytest.mark.parametrize("asked", [False, True])
async def test_closing_before_the_stream_has_begun_says_goodbye_and_listens_no_more(asked: bool) -> None:
    directory = SlowDirectory()
    streams = an_app(directory).state.parts.streams
    reading = asyncio.ensure_future(said(streams.open(None, lambda: True)))
    await asyncio.sleep(0)  # joined: the task that listens has been made, and has not run
    if asked:
        await directory.asked.wait()
    assert (len(streams), directory.asked.is_set()) == (1, asked)
    streams.close()
    async with asyncio.timeout(PATIENCE_S):
        assert b"event: bye" in await reading
    assert await gone("console/live/pump")


async def said(stream: live.Stream) -> bytes:
    return b"".join([chunk async for chunk in stream.chunks()])


async def gone(name: str) -> bool:
    """Return whether the tasks of this name have ended, or end now."""
    named = [task for task in asyncio.all_tasks() if task.get_name() == name]
    return not named or not (await asyncio.wait(named, timeout=PATIENCE_S))[1]


async def test_a_directory_that_ends_ends_the_stream() -> None:
    directory = FakeDirectory()
    async with streaming(an_app(directory)) as reader:
        await reader.next()
        directory.finish()
        event = await reader.next()
        assert event is not None
        assert event.type == "bye"
        assert await reader.next() is None


async def test_a_reader_who_leaves_is_forgotten() -> None:
    directory = FakeDirectory()
    app = an_app(directory)
    async with streaming(app) as reader:
        await reader.next()
        assert directory.readers == 1
        assert len(app.state.parts.streams) == 1
    assert directory.readers == 0
    assert len(app.state.parts.streams) == 0


async def test_too_many_streams_are_refused() -> None:
    app = an_app(FakeDirectory(), max_streams=1)
    async with streaming(app) as first:
        await first.next()
        async with streaming(app) as second:
            await second.raw()
            assert second.status == 503


def test_no_text_can_forge_an_event() -> None:
    wire = encode(
        "call.started\ndata: forged", {"caller": "x\n\nevent: bye\ndata: {}\r\u2028"}, event_id="e-1"
    )
    assert wire.count(b"\n\n") == 1
    assert wire.endswith(b"\n\n")
    assert [line.split(b":")[0] for line in wire.splitlines() if line] == [b"id", b"event", b"data"]


async def test_events_of_one_tick_go_out_together_and_in_order() -> None:
    directory = FakeDirectory()
    app = an_app(directory, stream_tick_s=0.02)
    async with streaming(app) as reader, streaming(app) as other:
        await reader.next()
        await other.next()
        for number in range(20):
            directory.put_call(a_call(f"c{number}"))
        for stream in (reader, other):
            wire = b""
            while b'"c19"' not in wire:
                wire += await stream.raw() or b""
            ids = [int(line.rpartition(b"-")[2]) for line in wire.splitlines() if line.startswith(b"id: ")]
            assert ids == list(range(1, 21))


async def test_all_readers_share_one_subscription() -> None:
    directory = FakeDirectory()
    app = an_app(directory)
    async with streaming(app) as first, streaming(app) as second:
        await first.next()
        await second.next()
        assert directory.readers == 1
        directory.put_call(a_call("c1"))
        for reader in (first, second):
            event = await reader.next()
            assert event is not None
            assert event.type == "call.started"


async def test_ids_that_jump_start_every_reader_over() -> None:
    directory = FakeDirectory()
    async with streaming(an_app(directory)) as reader:
        await reader.next()
        directory.put_call(a_call("c1"))
        await reader.next()
        directory._last_id += 5
        directory.change("c1", step="later")
        event = await reader.next()
        assert event is not None
        assert (event.type, event.data["reason"]) == ("snapshot", "gap")
        assert event.data["calls"][0]["step"] == "later"


async def test_a_directory_that_fails_ends_the_streams_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    directory = FakeDirectory()
    app = an_app(directory)
    async with streaming(app) as reader:
        await reader.next()
        for queue in directory._readers:
            queue.put_nowait("not an event")  # type: ignore[arg-type]
        event = await reader.next()
        assert event is not None
        assert event.type == "bye"
    assert "console/live/pump failed" in caplog.text


async def test_many_readers_are_served_less_often_but_all_of_it() -> None:
    directory = FakeDirectory()
    app = an_app(directory, stream_tick_s=0.001)
    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(streaming(app)) for _ in range(30)]
        for reader in readers:
            await reader.next()
        for number in range(10):
            directory.put_call(a_call(f"c{number}"))
        for reader in readers:
            seen = [await reader.next() for _ in range(10)]
            assert [event.data["call_id"] for event in seen if event] == [f"c{n}" for n in range(10)]


async def test_a_busy_stream_ends_too_for_one_who_is_shut_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heartbeats come in silence only: where something always happens, there would never be one."""
    monkeypatch.setattr(live, "LOOK_S", 0.0)
    directory = FakeDirectory()
    directory.put_call(a_call("c1"))
    streams = an_app(directory, heartbeat_s=1e6).state.parts.streams
    welcome = True
    chunks = streams.open(None, lambda: welcome).chunks()
    await anext(chunks)
    assert b"snapshot" in await anext(chunks)
    directory.change("c1", step="menu")
    assert b"menu" in await anext(chunks)
    directory.change("c1", step="secret")
    await asyncio.sleep(0)
    welcome = False
    rest = b"".join([chunk async for chunk in chunks])
    assert b"signed_out" in rest
    assert b"secret" not in rest


async def test_readers_who_come_at_once_share_one_list_and_miss_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a hundred calls, two hundred lists would keep the loop from the calls for seconds."""
    monkeypatch.setattr(snapshots, "CHEAP_S", -1.0)
    monkeypatch.setattr(snapshots, "REST", 1e9)
    monkeypatch.setattr(snapshots, "MOST_S", 1e9)
    directory = FakeDirectory()
    made = 0
    look = directory.calls

    def calls() -> Sequence[CallView]:
        nonlocal made
        made += 1
        return look()

    monkeypatch.setattr(directory, "calls", calls)
    directory.put_call(a_call("c1"))
    app = an_app(directory)
    async with streaming(app) as early:
        await early.next()
        directory.change("c1", step="first")
        await early.next()
        async with AsyncExitStack() as stack:
            first = await stack.enter_async_context(streaming(app))
            await first.next()
            before = made
            directory.change("c1", step="second")
            await early.next()
            readers = [await stack.enter_async_context(streaming(app)) for _ in range(20)]
            for reader in readers:
                for kind, step in (("snapshot", "first"), ("call.changed", "second")):
                    event = await reader.next()
                    assert event is not None
                    assert event.type == kind
                    assert (event.data["calls"][0] if kind == "snapshot" else event.data["data"])[
                        "step"
                    ] == step
            directory.change("c1", step="third")
            for reader in readers:
                after = await reader.next()
                assert after is not None
                assert after.data["data"]["step"] == "third"
    assert made == before


async def test_a_shared_list_is_not_given_to_one_who_would_miss_something(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(snapshots, "CHEAP_S", -1.0)
    monkeypatch.setattr(snapshots, "REST", 1e9)
    monkeypatch.setattr(snapshots, "MOST_S", 1e9)
    directory = FakeDirectory()
    directory.put_call(a_call("c1"))
    app = an_app(directory)
    async with streaming(app) as early:
        await early.next()
        for number in range(live.KEPT + 10):
            directory.change("c1", step=f"s{number}")
        await early.next()
        async with streaming(app) as late:
            event = await late.next()
            assert event is not None
            assert event.data["calls"][0]["step"] == f"s{live.KEPT + 9}"
    # Nobody read for a while: what was made before that does not count.
    directory.change("c1", step="unseen")
    async with streaming(app) as again:
        event = await again.next()
        assert event is not None
        assert event.data["calls"][0]["step"] == "unseen"


async def test_whoever_does_not_read_does_not_make_the_others_wait() -> None:
    directory = FakeDirectory()
    directory.put_call(a_call("c1"))
    app = an_app(directory, stream_queue=4, stream_tick_s=0.001)
    streams = app.state.parts.streams
    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(streaming(app)) for _ in range(40)]
        for reader in readers:
            await reader.next()
        among_readers = streams.pause_s()
        quick, *slow = readers
        for reader in slow:
            reader.flowing.clear()
        for number in range(20):
            directory.change("c1", step=f"s{number}")
            event = await quick.next()
            while event is not None and event.data["data"]["step"] != f"s{number}":
                event = await quick.next()
        assert streams.pause_s() == among_readers / 40
