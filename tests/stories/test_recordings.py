"""Recording a call: both sides as they were, gates, limits, refusals, disks that fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.kit.fake_leg import FakeLeg
from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import eventually, virtual
from voiceagent.call.config import CallConfig
from voiceagent.call.leg import LegCapabilities, LegInfo
from voiceagent.call.recording import tone_of
from voiceagent.errors import RequestRefused
from voiceagent.ivr import Call, Digits, Flow, flow
from voiceagent.ivr.ports import Recording
from voiceagent.media.g711 import Law
from voiceagent.media.tones import sine
from voiceagent.media.wav import WavWriter
from voiceagent.records.recording import RecordingFailed, RecordingFinished, RecordingNews, RecordingSink

SILENCE = 0xFF
CALLER, AGENT = 0x11, 0x5A


class Kept:
    """Keeps recordings in memory; ``fail`` is told of each in place of keeping it."""

    def __init__(self, fail: str | None = None) -> None:
        self.files: dict[str, tuple[bytearray, bytearray]] = {}
        self._fail = fail

    def start(self, file: str, law: Law, told: Callable[[RecordingNews], None]) -> RecordingSink:
        self.files[file] = bytearray(), bytearray()
        if self._fail is not None:
            asyncio.get_running_loop().call_later(1.0, told, RecordingFailed(self._fail))
        return _Kept(self.files[file], told, dead=self._fail is not None)


class _Kept:
    def __init__(self, sides: tuple[bytearray, bytearray], told: Callable[[RecordingNews], None], dead: bool):
        self._sides, self._told, self._dead = sides, told, dead

    def write(self, caller: bytes, agent: bytes) -> None:
        assert len(caller) == len(agent)
        self._sides[0].extend(caller)
        self._sides[1].extend(agent)

    def finish(self) -> None:
        if not self._dead:
            loop = asyncio.get_running_loop()
            seconds = len(self._sides[0]) / 8000
            loop.call_later(0.5, self._told, RecordingFinished(seconds, 44, "abc", 0.0))


class Line(FakeLeg):
    """A leg whose caller is heard all the time: ``CALLER`` in every sample."""

    async def _run(self) -> None:
        self.on_frame = lambda frame: self.hears(bytes((CALLER,)) * 160)
        await super()._run()


def story_of(one: Flow, kept: Kept, **options: Any) -> Story:
    story = Story(one, leg=options.pop("leg", None) or Line(), recordings=kept, **options)
    story.provider.default = Reply(audio_ms=2000, sample=AGENT)
    return story


def entries(story: Story, kind: str) -> list[Any]:
    return [one for one in story.entries if one["type"] == kind]


def seconds(track: bytes | bytearray, sample: int) -> float:
    return round(track.count(sample) / 8000, 2)


@virtual
async def test_caller_left_agent_right_from_the_verb_to_the_end() -> None:
    got: list[Recording | None] = []

    @flow("recorder")
    async def recorder(call: Call) -> None:
        await call.respond("Greet.")
        got.append(await call.record("greeting"))
        await call.respond("Go on.")
        await asyncio.sleep(1)
        got.append(await call.stop_recording())
        got.append(await call.stop_recording())
        await call.respond("Not recorded.")

    kept = Kept()
    story = story_of(recorder, kept)
    story.start()
    await story.ends()

    [(file, (caller, agent))] = kept.files.items()
    assert file == "call_1-greeting.wav"
    assert len(caller) == len(agent)
    assert seconds(agent, AGENT) == 2.0
    assert abs(seconds(caller, CALLER) - len(caller) / 8000) < 0.1
    began, ended, none = got
    assert began == Recording("greeting", file)
    assert ended is not None
    assert ended.seconds == pytest.approx(len(caller) / 8000, abs=0.001)
    assert none is None
    [finished] = entries(story, "recording.finished")
    assert (finished["name"], finished["sha256"], finished["reason"]) == ("greeting", "abc", "flow")
    assert [kind for kind, _ in story.observed.happenings] == ["recording.started", "recording.finished"]


@virtual
async def test_the_agent_is_recorded_as_heard_and_cut_where_the_caller_cut_it() -> None:
    @flow("recorder")
    async def recorder(call: Call) -> None:
        await call.record()
        spoken = await call.respond("Tell a long story.")
        heard.append(spoken.heard_ms)
        await asyncio.sleep(3)

    heard: list[int] = []
    kept = Kept()
    story = story_of(recorder, kept)
    story.start()
    await story.agent_speaks()
    await asyncio.sleep(0.7)
    await story.caller_says("stop")
    await story.ends()
    _, agent = kept.files["call_1.wav"]
    assert heard[0] < 1500
    assert seconds(agent, AGENT) == pytest.approx(heard[0] / 1000, abs=0.03)
    [finished] = entries(story, "recording.finished")
    assert finished["reason"] == "call_ended"
    assert story.entries[-1]["type"] == "call.ended", "the journal knows the file before it is closed"


@virtual
@pytest.mark.parametrize("by", ["flow", "secret", "hold", "caller"])
async def test_what_is_not_to_be_recorded_is_silence_and_time_stays_true(by: str) -> None:
    @flow("recorder")
    async def recorder(call: Call) -> None:
        await call.record()
        await asyncio.sleep(2)
        match by:
            case "flow":
                await call.pause_recording()
            case "secret":
                story.call.recorder.gate("secret", True)
            case "hold":
                await call.hold()
            case _:
                story.leg.listener.leg_held(True)
        await asyncio.sleep(4)
        match by:
            case "flow":
                await call.resume_recording()
            case "secret":
                story.call.recorder.gate("secret", False)
            case "hold":
                await call.resume()
            case _:
                story.leg.listener.leg_held(False)
        await asyncio.sleep(3)

    kept = Kept()
    story = story_of(recorder, kept)
    story.start()
    await story.ends()
    caller, _ = kept.files["call_1.wav"]
    assert len(caller) / 8000 == pytest.approx(9.0, abs=0.3)
    at = [index for index, sample in enumerate(caller) if sample == SILENCE]
    assert (at[-1] - at[0]) / 8000 == pytest.approx(4.0, abs=0.3)
    assert len(at) == pytest.approx(4.0 * 8000, abs=0.3 * 8000)
    [paused], [resumed] = entries(story, "recording.paused"), entries(story, "recording.resumed")
    assert paused["by"] == resumed["by"] == ("hold" if by == "caller" else by)


@virtual
async def test_a_secret_that_is_typed_is_not_in_the_recording() -> None:
    typed: list[SecretStr | None] = []

    @flow("recorder")
    async def recorder(call: Call) -> None:
        await call.record()
        await asyncio.sleep(2)
        typed.append(await call.collect("Ask for the PIN.", digits=Digits(4), secret=True))
        await asyncio.sleep(4)

    kept = Kept()
    story = story_of(recorder, kept)
    story.start()
    await story.agent_speaks()
    await story.agent_silent()
    story.leg.press("4711")
    await story.ends()
    assert typed == [SecretStr("4711")]
    caller, _ = kept.files["call_1.wav"]
    opened, closed = (entries(story, f"recording.{kind}")[0]["t"] for kind in ("paused", "resumed"))
    began = entries(story, "recording.started")[0]["t"]
    hidden = caller[round((opened - began + 0.1) * 8000) : round((closed - began - 0.1) * 8000)]
    assert len(hidden) > 2 * 8000
    assert set(hidden) == {SILENCE}
    assert caller[-8000:].count(CALLER) > 7000, "it goes on afterwards"


@virtual
async def test_a_gate_that_is_shut_before_the_recording_begins_is_shut_in_it() -> None:
    @flow("recorder")
    async def recorder(call: Call) -> None:
        story.call.recorder.gate("secret", True)
        await call.record()
        await asyncio.sleep(2)

    kept = Kept()
    story = story_of(recorder, kept)
    story.start()
    await story.ends()
    assert set(kept.files["call_1.wav"][0]) == {SILENCE}
    assert entries(story, "recording.paused")[0]["by"] == "secret"


@virtual
async def test_names_that_are_no_names_are_refused_and_name_the_field() -> None:
    refused: list[tuple[str, str]] = []

    @flow("recorder")
    async def recorder(call: Call) -> None:
        for name in ("", "../up", "a/b", "a b", ".hidden", "x" * 65, "nul\0", "größe"):
            with pytest.raises(RequestRefused) as error:
                await call.record(name)
            refused.append((name, error.value.field))
        await call.record("one")
        with pytest.raises(RequestRefused, match="'one' is being recorded already"):
            await call.record("two")
        await call.stop_recording()
        with pytest.raises(RequestRefused, match="'one' is a recording of this call already"):
            await call.record("one")
        await call.record()
        await call.stop_recording()
        await call.record()

    kept = Kept()
    story = story_of(recorder, kept)
    story.start()
    assert (await story.ends()).reason == "completed"
    assert {field for _, field in refused} == {"name"}
    assert list(kept.files) == ["call_1-one.wav", "call_1.wav", "call_1-part2.wav"]


@virtual
async def test_a_call_whose_audio_does_not_pass_through_us_refuses() -> None:
    @flow("recorder")
    async def recorder(call: Call) -> None:
        with pytest.raises(RequestRefused) as error:
            await call.record(announce="This call is recorded.")
        assert (error.value.field, error.value.code) == ("record", "not_supported")

    kept, leg = Kept(), FakeLeg()
    leg.capabilities = LegCapabilities(can_record=False)
    story = story_of(recorder, kept, leg=leg)
    story.start()
    assert (await story.ends()).reason == "completed"
    assert story.kinds() == [], "nothing was announced either"
    assert kept.files == {}


@virtual
@pytest.mark.parametrize("heard", [True, False])
async def test_an_announcement_is_heard_first_or_nothing_is_recorded(heard: bool) -> None:
    got: list[Recording | None] = []

    @flow("recorder")
    async def recorder(call: Call) -> None:
        got.append(await call.record(announce="This call is recorded."))
        await asyncio.sleep(2)

    kept = Kept()
    story = story_of(recorder, kept)
    if not heard:
        story.provider.default = Reply(audio_ms=0, status="failed", error_code="server_error")
    story.start()
    await story.ends()
    if not heard:
        assert got == [None]
        assert kept.files == {}
        return
    assert "This call is recorded." in story.provider.creates()[0]["response"]["instructions"]
    _, agent = kept.files["call_1.wav"]
    assert seconds(agent, AGENT) == 0.0, "it begins after the announcement"


@virtual
async def test_a_disk_that_fails_does_not_disturb_the_call() -> None:
    @flow("recorder")
    async def recorder(call: Call) -> None:
        await call.record("first")
        await call.respond("Go on.")
        await asyncio.sleep(2)
        assert await call.stop_recording() is None, "it is over"
        await call.record("second")

    kept = Kept(fail="OSError: No space left on device")
    story = story_of(recorder, kept)
    story.start()
    assert (await story.ends()).reason == "completed"
    assert [one["error"] for one in entries(story, "recording.failed")] == [
        "OSError: No space left on device"
    ] * 2
    assert ("recording.failed", "first") in [
        (kind, facts["name"]) for kind, facts in story.observed.happenings
    ]


@virtual
async def test_a_recording_has_a_longest_duration() -> None:
    @flow("recorder")
    async def recorder(call: Call) -> None:
        await call.record()
        await asyncio.sleep(30)
        await call.record("next")

    kept = Kept()
    story = story_of(recorder, kept, config=CallConfig(recording_max_s=10))
    story.start()
    assert (await story.ends()).reason == "completed"
    assert entries(story, "recording.finished")[0]["reason"] == "max_minutes"
    assert len(kept.files["call_1.wav"][0]) / 8000 == pytest.approx(10, abs=1)
    assert "call_1-next.wav" in kept.files


@virtual
async def test_it_goes_on_with_the_party_that_takes_the_callers_place() -> None:
    @flow("recorder")
    async def recorder(call: Call) -> None:
        await call.record()
        await asyncio.sleep(20)

    kept = Kept()
    story = story_of(recorder, kept)
    story.start()
    await asyncio.sleep(3)
    other = Line()
    other.info = LegInfo(id="leg-3", kind="direct", caller="bob", called="100")
    assert story.call.ear.leg_replaced(other)
    await eventually(lambda: story.call.leg is other)
    await story.ends()
    caller, _ = kept.files["call_1.wav"]
    assert seconds(caller, CALLER) == pytest.approx(20, abs=1)


@virtual
async def test_nothing_is_tapped_while_nothing_is_recorded() -> None:
    @flow("recorder")
    async def recorder(call: Call) -> None:
        assert story.leg.tapped is None
        await call.record()
        assert story.leg.tapped is not None
        await call.stop_recording()
        assert story.leg.tapped is None

    story = story_of(recorder, Kept())
    story.start()
    assert (await story.ends()).reason == "completed"


@virtual
@pytest.mark.parametrize(
    ("own", "said"),
    [(None, "All calls are recorded."), ("This one is recorded.", "This one is recorded."), ("", None)],
)
async def test_what_the_node_announces_where_the_flow_does_not(own: str | None, said: str | None) -> None:
    @flow("recorder")
    async def recorder(call: Call) -> None:
        assert await call.record(announce=own) is not None

    story = story_of(recorder, Kept(), config=CallConfig(recording_announce="All calls are recorded."))
    story.start()
    assert (await story.ends()).reason == "completed"
    told = entries(story, "recording.announced")
    assert [(one["text"], one["complete"], one["heard_ms"]) for one in told] == (
        [] if said is None else [(said, True, 2000)]
    )
    kinds = [one["type"] for one in story.entries if one["type"].startswith("recording.")]
    assert kinds == ["recording.announced"] * len(told) + ["recording.started", "recording.finished"]


@virtual
@pytest.mark.parametrize("heard", [True, False])
async def test_a_file_is_announced_and_must_be_heard_whole(tmp_path: Path, heard: bool) -> None:
    got: list[Recording | None] = []

    @flow("recorder")
    async def recorder(call: Call) -> None:
        got.append(await call.record())

    with WavWriter(tmp_path / "recorded.wav") as wav:
        wav.write(sine(440, 1000))
    kept = Kept()
    story = story_of(recorder, kept, config=CallConfig(recording_announce=str(tmp_path / "recorded.wav")))
    story.start()
    if not heard:
        await asyncio.sleep(0.5)
        story.leg.caller_hangs_up()
    await story.ends()
    told = entries(story, "recording.announced")
    if heard:
        assert [(one["file"], one["complete"], one["whole_ms"]) for one in told] == [
            ("recorded.wav", True, 1000)
        ]
        assert list(kept.files) == ["call_1.wav"]
    else:
        assert (got, kept.files) == ([], {}) or got == [None]
        assert not any(one["complete"] for one in told)


@virtual
@pytest.mark.parametrize("tone", [True, False])
async def test_a_pause_has_a_tone_and_its_end_has_two(tone: bool) -> None:
    @flow("recorder")
    async def recorder(call: Call) -> None:
        await call.pause_recording()  # nothing is recorded: nothing to tell
        await call.resume_recording()
        await call.record()
        await call.pause_recording()
        story.call.recorder.gate("operator", True)
        await asyncio.sleep(1)
        story.call.recorder.gate("operator", False)
        await asyncio.sleep(1)
        marks.append(len(story.leg.played))
        await call.resume_recording()
        await asyncio.sleep(1)

    marks: list[int] = []
    story = story_of(recorder, Kept(), config=CallConfig(recording_tone=tone))
    story.start()
    await story.ends()
    beep, heard = tone_of(False, "ulaw"), bytes(story.leg.played)
    once, twice = heard[: marks[0]].count(beep), heard[marks[0] :].count(beep)
    assert (once, twice) == ((1, 2) if tone else (0, 0))
