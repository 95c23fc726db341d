"""What the inputs of a call are written as."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voiceagent.call.inputs import Inputs
from voiceagent.realtime.model_events import RealtimeModelAudioEvent, RealtimeModelTranscriptDeltaEvent
from voiceagent.records.journal import Journal


def made() -> tuple[Inputs, Journal, list[Mapping[str, Any]]]:
    journal = Journal(None, None)
    entries: list[Mapping[str, Any]] = []
    journal.tap(entries.append)
    return Inputs(journal, "seed"), journal, entries


def sound(item: str = "item") -> RealtimeModelAudioEvent:
    return RealtimeModelAudioEvent("resp", item, 0, b"\x00" * 320 + b"\xff" * 160)


def words(text: str) -> RealtimeModelTranscriptDeltaEvent:
    return RealtimeModelTranscriptDeltaEvent("resp", "item", 0, text, True)


def pieces(entry: Mapping[str, Any]) -> list[Any]:
    return [delta[1:] for delta in entry["deltas"]]


async def test_what_the_agent_says_is_one_entry_of_sound_and_words_in_their_order() -> None:
    inputs, journal, entries = made()
    inputs.audio(1, sound(), "audio/pcmu")
    inputs.words(1, words("Hello"), b"")
    inputs.words(1, words(", you"), b"")
    inputs.audio(1, sound(), "audio/pcmu")
    assert not entries, "it waits for what follows"
    journal.write("flow.step")
    inputs.end()

    assert [one["type"] for one in entries] == ["in.audio", "flow.step"]
    assert pieces(entries[0]) == [[320, -160], ["Hello"], [", you"], [320, -160]]


async def test_another_item_is_another_entry() -> None:
    inputs, _, entries = made()
    inputs.words(1, words("Hello"), b"")
    inputs.audio(1, sound("other"), "audio/pcmu")
    inputs.end()

    assert [(one["item"], pieces(one)) for one in entries] == [
        ("item", [["Hello"]]),
        ("other", [[320, -160]]),
    ]


async def test_words_that_came_before_anybody_listened_are_a_frame() -> None:
    inputs, _, entries = made()
    with inputs.early():
        inputs.words(1, words("Hello"), b'{"delta": "Hello"}')
    inputs.end()

    assert [(one["type"], one["frame"], one["at_once"]) for one in entries] == [
        ("in.frame", '{"delta": "Hello"}', True)
    ]


async def test_words_without_end_are_not_gathered() -> None:
    inputs, _, entries = made()
    inputs.words(1, words("Hello"), b"")
    inputs.words(1, words("o" * 100_000), b'{"delta": "..."}')
    inputs.words(1, words("!"), b"")
    inputs.end()

    assert [one["type"] for one in entries] == ["in.audio", "in.frame", "in.audio"]
    assert entries[1]["frame"] == '{"delta": "..."}'


async def test_that_the_loop_was_late_stands_in_the_next_entry() -> None:
    inputs, journal, entries = made()
    start = journal.start
    inputs._late(start + 1.0, start + 1.25)  # pyright: ignore[reportPrivateUsage]
    inputs._late(start + 2.0, start + 2.5)  # pyright: ignore[reportPrivateUsage]
    journal.write("flow.step")
    inputs.frame(1, b"{}")
    inputs._late(start + 3.0, start + 3.5)  # pyright: ignore[reportPrivateUsage]
    inputs.end()

    assert [(one["type"], one.get("late")) for one in entries] == [
        ("flow.step", None),
        ("in.frame", [(1.0, 1.25), (2.0, 2.5)]),
        ("in.clock", [(3.0, 3.5)]),
    ]
