""" "One moment, please." never talks over anybody, and is nobody's answer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import eventually, virtual
from voiceagent.call.comfort import comfort_sound
from voiceagent.call.config import CallConfig
from voiceagent.call.local_lines import check_prompts, line
from voiceagent.errors import ConfigError
from voiceagent.ivr import Call, flow
from voiceagent.media.g711 import encode
from voiceagent.media.wav import WavWriter

VOICE = 0x5A


@flow("slow")
async def slow(call: Call) -> None:
    await call.respond("Look it up.")


def lines(story: Story) -> list[str]:
    return [entry["line"] for entry in story.entries if entry["type"] == "line.played"]


def frames_of(story: Story) -> list[bytes | None]:
    frames: list[bytes | None] = []
    story.leg.on_frame = frames.append
    return frames


@virtual
async def test_a_filler_does_not_start_while_the_caller_speaks() -> None:
    story = Story(slow)
    story.provider.default = Reply(first_after_s=8.0)
    frames = frames_of(story)
    story.start()
    await asyncio.sleep(0.5)
    await story.caller_begins()
    await asyncio.sleep(6.0)
    assert not lines(story)
    assert not any(frames)
    await story.caller_stops("hello?")
    story.leg.caller_hangs_up()
    await story.ends()


@virtual
async def test_a_filler_stops_at_once_when_the_caller_begins() -> None:
    story = Story(slow)
    story.provider.default = Reply(first_after_s=8.0)
    frames = frames_of(story)
    story.start()
    await eventually(lambda: bool(lines(story)), within_s=5)
    await asyncio.sleep(0.4)
    assert frames[-1] is not None
    await story.caller_begins()
    heard = sum(frame is not None for frame in frames)
    await asyncio.sleep(1.0)
    assert sum(frame is not None for frame in frames) <= heard + 1
    story.leg.caller_hangs_up()
    await story.ends()


@pytest.mark.parametrize("first_after_s", [1.3, 1.5, 2.0, 2.3])
def test_a_response_that_comes_meanwhile_is_heard_whole_and_alone(first_after_s: float) -> None:
    @virtual
    async def tale() -> None:
        story = Story(slow)
        story.provider.default = Reply(audio_ms=1000, first_after_s=first_after_s, sample=VOICE)
        frames = frames_of(story)
        story.start()
        await story.ends()
        assert lines(story) == ["moment"]
        kinds = [None if one is None else one == bytes((VOICE,)) * 160 for one in frames]
        begin = kinds.index(True)
        assert kinds[begin : begin + 50] == [True] * 50
        assert not any(kinds[begin + 50 :])
        assert False not in kinds[begin:], "not one frame of the filler after the voice has begun"

    tale()


@virtual
async def test_a_filler_is_not_the_agents_answer() -> None:
    story = Story(slow)
    story.provider.default = Reply(audio_ms=1000, first_after_s=5.0)
    story.start()
    await eventually(lambda: bool(lines(story)), within_s=5)
    await asyncio.sleep(0.5)
    assert story.call.first_words_s is None
    await story.agent_silent()
    await story.ends()
    assert lines(story) == ["moment", "patience"]
    assert story.call.first_words_s is not None
    assert story.call.first_words_s > 5.0
    assert [one.speaker for one in story.call.transcript.lines] == ["agent"]


@virtual
async def test_nobody_is_spoken_to_in_a_foreign_language() -> None:
    @flow("langsam", language="de")
    async def german(call: Call) -> None:
        await call.respond("Sieh nach.")

    story = Story(german)
    story.provider.default = Reply(audio_ms=1000, first_after_s=3.5, sample=VOICE)
    story.start()
    await story.ends()
    assert bytes(story.leg.played[:1600]) == comfort_sound("audio/pcmu")[:1600]


@virtual
async def test_recorded_lines_of_ones_own_are_played(tmp_path: Path) -> None:
    pcm = b"\x10\x27" * 8000
    (tmp_path / "de").mkdir()
    with WavWriter(tmp_path / "de" / "moment.wav") as file:
        file.write(pcm)
    check_prompts(str(tmp_path))

    @flow("langsam", language="de-AT")
    async def german(call: Call) -> None:
        await call.respond("Sieh nach.")

    story = Story(german, config=CallConfig(prompts_dir=str(tmp_path)))
    story.provider.default = Reply(audio_ms=1000, first_after_s=3.5, sample=VOICE)
    story.start()
    await story.ends()
    assert bytes(story.leg.played[:8000]) == encode(pcm, "ulaw")
    assert line("moment", "audio/pcmu", "en", str(tmp_path)) == line("moment", "audio/pcmu")


def test_a_wrong_folder_or_file_is_told_at_the_start(tmp_path: Path) -> None:
    check_prompts(None)
    with pytest.raises(ConfigError, match=r"call\.prompts_dir: no such folder"):
        check_prompts(str(tmp_path / "nowhere"))
    (tmp_path / "fr").mkdir()
    (tmp_path / "fr" / "apology.wav").write_bytes(b"RIFF")
    with pytest.raises(ConfigError, match=r"call\.prompts_dir: fr/apology\.wav: not a WAV file"):
        check_prompts(str(tmp_path))
