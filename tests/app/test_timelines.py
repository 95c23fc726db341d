"""Where a call's time line comes from: the tap while it is remembered, its journal's file afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.test_live_parts import node, observed_story
from tests.kit.virtual_loop import settle, virtual
from voiceagent.app import directory, timelines
from voiceagent.app.timelines import Timelines, read_timeline
from voiceagent.records.journal import Journal

DEMO = Path(__file__).parents[1] / "simulate" / "demo.jsonl"


def a_journal() -> Journal:
    """One that begins at 0; what is written first stands at 5, and from then on it is 9."""
    times = iter([0.0, 5.0])
    return Journal(None, None, monotonic=lambda: next(times, 9.0), wall=lambda: 0.0)


@virtual
async def test_the_directory_shows_the_time_line_of_a_live_call(caplog: pytest.LogCaptureFixture) -> None:
    known, _ = node()
    story = observed_story(known)
    await settle()
    assert (await known.timeline(story.call.id))["live"]
    with pytest.raises(KeyError):
        await known.timeline("nobody")
    story.call.end("done")
    await settle()
    told = await known.timeline(story.call.id)
    assert not told["live"]
    assert told["marks"][-1]["text"].startswith("the call ended: ")
    assert caplog.text == ""


@virtual
async def test_a_call_that_the_directory_forgets_takes_its_time_line_with_it() -> None:
    node_directory, _ = node()
    story = observed_story(node_directory)
    await settle()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(directory, "ENDED_KEPT", 0)
        story.call.end("done")
        await settle()
    with pytest.raises(KeyError):
        await node_directory.timeline(story.call.id)


async def test_a_live_call_grows_with_the_clock_until_it_is_forgotten() -> None:
    known = Timelines()
    journal = a_journal()
    known.begin("c1", journal)
    journal.write("caller.speech_started", audio_ms=0)
    told = await known.of("c1")
    assert (told["duration_s"], told["live"], told["caller"]) == (9.0, True, [[5.0, 9.0]])
    known.forget("c1")
    with pytest.raises(KeyError):
        await known.of("c1")


async def test_what_the_picture_cannot_take_does_not_reach_the_call(caplog: pytest.LogCaptureFixture) -> None:
    known = Timelines()
    journal = a_journal()
    known.begin("c1", journal)
    journal.write("call.answered", setup_s="no number")
    journal.write("caller.digit", digit="4")
    assert "cannot take an entry of type call.answered" in caplog.text
    assert [one["text"] for one in (await known.of("c1"))["marks"]] == ["4"]


async def test_a_call_of_long_ago_is_read_from_its_journal_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "c9.jsonl").write_bytes(DEMO.read_bytes())
    known = Timelines(tmp_path)
    told = await known.of("c9")
    assert len(told["heard"]) == 8
    assert not told["live"]
    monkeypatch.setattr(timelines, "read_timeline", None)
    assert await known.of("c9") is told


@pytest.mark.parametrize("name", ["../c9", "c9.jsonl", "", "a/b", "..", "\0", "c8", "x" * 5000])
async def test_no_other_file_is_read(tmp_path: Path, name: str) -> None:
    inner = tmp_path / "calls"
    inner.mkdir()
    for place in (tmp_path, inner):
        (place / "c9.jsonl").write_bytes(DEMO.read_bytes())
    with pytest.raises(KeyError):
        await Timelines(inner).of(name)


def test_inputs_are_not_even_parsed(tmp_path: Path) -> None:
    path = tmp_path / "c1.jsonl"
    path.write_text(
        '{"v":1,"t":1.0,"type":"in.frame","frame":?}\n{"t":2.0,"type":"caller.digit","digit":"4"}\n'
    )
    assert [one["text"] for one in read_timeline(path)["marks"]] == ["4"]


def test_a_torn_last_line_ends_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "c1.jsonl"
    path.write_text('{"t":1.0,"type":"caller.digit","digit":"4"}\n{"t":2.0,"type":"caller.di')
    told = read_timeline(path)
    assert [one["text"] for one in told["marks"]] == ["4"]
    assert not told["live"]


def test_what_is_no_journal_has_no_time_line(tmp_path: Path) -> None:
    path = tmp_path / "c1.jsonl"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(KeyError):
        read_timeline(path)
