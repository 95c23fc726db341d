"""Recorded files in their turn: never over a response or the caller, who may stop them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.hosted.kit import HostedStory
from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import eventually, virtual
from tests.kit.voices import after_ms, play_call
from voiceagent.errors import RequestRefused
from voiceagent.ivr import Call, Flow, Outcome, flow
from voiceagent.media.wav import WavWriter
from voiceagent.realtime.requests import InterruptedBy
from voiceagent.simulate.sim_call import SimCall

TEXT = "This call may be recorded for training. You may object at any time."


def wav(folder: Path, seconds: float = 4.0, rate: int = 16000, name: str = "legal.wav") -> Path:
    path = folder / name
    with WavWriter(path, rate=rate) as file:
        file.write(b"\x10\x27" * int(rate * seconds))
    return path


def plays(path: Path, **options: Any) -> tuple[Flow, list[Outcome]]:
    results: list[Outcome] = []

    @flow("player")
    async def player(call: Call) -> None:
        results.append(await call.play(path, **options))
        results.append(await call.respond("Greet."))

    return player, results


def notes(story: Story) -> list[str]:
    return [
        part["text"]
        for frame in story.provider.received
        if frame["type"] == "conversation.item.create"
        for part in frame["item"]["content"]
    ]


@virtual
async def test_a_file_is_heard_whole_and_the_model_is_told(tmp_path: Path) -> None:
    flow_, results = plays(wav(tmp_path), text=TEXT)
    story = Story(flow_)
    story.start()
    await story.ends()
    played, greeted = results
    assert played.completed
    assert played.heard_ms == 4000
    assert played.heard_text == TEXT
    assert greeted.completed
    assert notes(story) == [f'The caller has just heard a recording. It says: "{TEXT}"']
    entry = next(entry for entry in story.entries if entry["type"] == "sound.played")
    assert entry["file"] == "legal.wav"
    assert story.call.transcript.lines[0].text == TEXT
    assert len(story.leg.played) == 8 * (4000 + greeted.heard_ms)
    assert story.call.watch.longest_gap_s < 2.0, "a file is no dead air"


@virtual
async def test_nothing_else_is_said_while_it_plays_and_it_waits_for_what_is_said(tmp_path: Path) -> None:
    results: list[Outcome] = []

    @flow("player")
    async def player(call: Call) -> None:
        await asyncio.sleep(1.0)
        results.append(await call.play(wav(tmp_path)))
        await call.respond("Greet.")

    story = Story(player)
    story.provider.default = Reply(audio_ms=2000, gap_s=0.0)
    voices: list[str] = []
    story.leg.on_frame = lambda frame: voices.append(
        "-" if frame is None else "s" if frame[0] != 0x5A else "r"
    )
    story.start()
    await asyncio.sleep(0.9)
    story.call.trigger("First.", {}, request_id="op-1")
    await eventually(lambda: story.call.sounds.playing, within_s=10)
    story.call.trigger("Second.", {}, request_id="op-2")
    await story.ends()
    assert results[0].heard_ms == 4000
    runs = [voice for at, voice in enumerate(voices) if voice != "-" and (at == 0 or voices[at - 1] != voice)]
    assert runs[:3] == ["r", "s", "r"]
    assert "".join(voices).count("s") == 200
    assert story.kinds() == ["completed"] * 3


@virtual
async def test_the_caller_may_stop_it(tmp_path: Path) -> None:
    flow_, results = plays(wav(tmp_path), text=TEXT)
    story = Story(flow_)
    story.start()
    await story.agent_speaks()
    await asyncio.sleep(2.0)
    heard = len(story.leg.played)
    await story.caller_begins()
    await asyncio.sleep(1.0)
    assert len(story.leg.played) <= heard + 160
    assert not story.provider.creates()
    await story.caller_stops("I object")
    await story.ends()
    assert results[0].by is InterruptedBy.CALLER
    assert TEXT.startswith(results[0].heard_text)
    assert 0 < len(results[0].heard_text) < len(TEXT)
    assert notes(story) == [f'The caller has just heard a recording. It says: "{results[0].heard_text}"']
    assert story.call.barge_ins == 1


@virtual
async def test_a_cough_only_delays_it(tmp_path: Path) -> None:
    flow_, results = plays(wav(tmp_path), text=TEXT)
    story = Story(flow_)
    story.start()
    await story.agent_speaks()
    await asyncio.sleep(2.0)
    await story.caller_says("", 0.3)
    await story.ends()
    assert results[0].completed
    assert results[0].heard_ms == 4000
    assert results[0].heard_text == TEXT
    assert [entry["time"] for entry in story.entries if entry["type"] == "line.resumed"] == [1]


@virtual
async def test_a_key_stops_it_and_stays_unread(tmp_path: Path) -> None:
    answers: list[Any] = []

    @flow("player")
    async def player(call: Call) -> None:
        answers.append(await call.play(wav(tmp_path)))
        answers.append(await call.choose("Offer.", yes="1"))

    story = Story(player)
    story.start()
    await story.agent_speaks()
    story.leg.press("1")
    await story.ends()
    assert answers[0].interrupted
    assert answers[1] == "yes"


@virtual
async def test_legal_text_may_be_uninterruptible_and_no_filler_is_put_into_it(tmp_path: Path) -> None:
    flow_, results = plays(wav(tmp_path, 8.0), interruptible=False)
    story = Story(flow_)
    story.start()
    await story.agent_speaks()
    await asyncio.sleep(1.0)
    await story.caller_begins()
    await asyncio.sleep(0.5)
    story.provider.emit("input_audio_buffer.speech_stopped", audio_end_ms=1000, item_id="turn_1")
    story.leg.press("5")
    await story.ends()
    assert results[0].completed
    assert results[0].heard_ms == 8000
    assert not [entry for entry in story.entries if entry["type"] == "line.played"]


@virtual
async def test_an_operator_and_the_end_of_the_call_stop_it(tmp_path: Path) -> None:
    flow_, results = plays(wav(tmp_path))
    story = Story(flow_)
    story.start()
    await story.agent_speaks()
    await story.call.stop_voice()
    await eventually(lambda: bool(results), within_s=1)
    assert results[0].by is InterruptedBy.OPERATOR
    story.leg.caller_hangs_up()
    assert (await story.ends()).reason == "caller_hung_up"

    story = Story(plays(wav(tmp_path))[0])
    story.start()
    await story.agent_speaks()
    story.leg.caller_hangs_up()
    assert (await story.ends()).reason == "caller_hung_up"


@pytest.mark.parametrize(
    ("content", "fault"),
    [(None, "cannot be read: No such file"), (b"ID3 no wave", "not a WAV file"), (b"", "not a WAV file")],
)
def test_a_file_that_cannot_be_played_is_refused_by_name(
    tmp_path: Path, content: bytes | None, fault: str
) -> None:
    path = tmp_path / "bad.wav"
    if content is not None:
        path.write_bytes(content)
    refused: list[RequestRefused] = []

    @flow("player")
    async def player(call: Call) -> None:
        try:
            await call.play(path)
        except RequestRefused as error:
            refused.append(error)

    @virtual
    async def tale() -> None:
        story = Story(player)
        story.start()
        await story.ends()

    tale()
    assert str(path) in str(refused[0])
    assert fault in str(refused[0])


@virtual
async def test_a_file_that_is_too_long_is_refused(tmp_path: Path) -> None:
    flow_, _ = plays(wav(tmp_path, 301, 8000))
    story = Story(flow_)
    story.start()
    await story.ends()
    failed = next(entry for entry in story.entries if entry["type"] == "flow.failed")
    assert "longer than 300 s" in failed["error"]


@virtual
async def test_where_the_provider_plays_the_text_is_said(tmp_path: Path) -> None:
    flow_, results = plays(wav(tmp_path), text=TEXT)
    story = HostedStory(flow_)
    story.start()
    await story.ends()
    assert results[0].completed
    assert f'nothing else: "{TEXT}"' in story.provider.creates()[0]["response"]["instructions"]


@virtual
async def test_where_the_provider_plays_and_there_is_no_text_it_is_refused(tmp_path: Path) -> None:
    codes: list[str] = []

    @flow("player")
    async def player(call: Call) -> None:
        try:
            await call.play(wav(tmp_path))
        except RequestRefused as error:
            codes.append(error.code)

    story = HostedStory(player)
    story.start()
    await story.ends()
    assert codes == ["not_supported"]


@pytest.mark.parametrize("held_ms", [3_000, 7_000, 30_000])
def test_a_hold_in_the_middle_costs_nothing_however_long_it_is(tmp_path: Path, held_ms: int) -> None:
    """The time that the line stands still is not the time that a file may take."""
    flow_, results = plays(wav(tmp_path), text=TEXT)

    async def holds(sim: SimCall) -> None:
        await sim.hold(held_ms)

    played = play_call(flow_, after_ms(1_000, holds))
    assert played.faults == []
    assert results[0].completed
    assert results[0].heard_ms == 4000
