"""Server VAD over the wire: edges, commits, transcripts, automatic replies, interruption."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from tests.engine.protocol_client import Gate, WireClient, keypad, quiet, talking, voice
from voiceagent.engine.config import EngineConfig
from voiceagent.engine.fakes import CannedRecogniser, FakeParts, ToneVoice
from voiceagent.engine.ports import Expectation, ExpectKind, Hypothesis

TURN = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
]
HEARD = "conversation.item.input_audio_transcription.completed"


def near(value: float, wanted: float, slack: float = 65) -> bool:
    """Two frames of 32 ms of tolerance: offsets are counted in whole frames."""
    return abs(value - wanted) <= slack


async def test_a_turn_is_found_committed_transcribed_and_answered() -> None:
    recogniser = CannedRecogniser(["billing"])
    async with talking(parts=FakeParts(recogniser=recogniser)) as client:
        await client.phone(prompt="Expect one of: billing; opening hours.")
        start = len(client.log)
        await client.say(quiet(1000), voice(600), quiet(600))
        done = await client.until("response.done")
        kinds = client.kinds(start)
        assert kinds[:5] == TURN
        assert kinds.index("response.created") < kinds.index("response.output_item.added")
        started, stopped, committed = client.log[start : start + 3]
        assert near(started["audio_start_ms"], 1000 - 300)
        assert near(stopped["audio_end_ms"], 1600 + 300)
        assert started["item_id"] == stopped["item_id"] == committed["item_id"]
        heard = next(event for event in client.log if event["type"] == HEARD)
        assert heard["transcript"] == "billing"
        assert heard["item_id"] == started["item_id"]
        assert "billing" in done["response"]["output"][0]["content"][0]["transcript"].lower()
        length, expect = recogniser.turns[0]
        assert near(length, 300 + 600 + 300)
        assert expect == Expectation(ExpectKind.PHRASES, ("billing", "opening hours"))


async def test_without_create_response_the_client_answers() -> None:
    async with talking(parts=FakeParts(recogniser=CannedRecogniser(["yes", "no", ""]))) as client:
        await client.phone(create=False)
        start = len(client.log)
        for words in ("yes", "no", ""):
            await client.say(quiet(200), voice(400), quiet(600))
            heard = await client.until(HEARD)
            assert heard["transcript"] == words
        assert "response.created" not in client.kinds(start)
        deltas = [e for e in client.log if e["type"].endswith("transcription.delta")]
        assert [e["delta"] for e in deltas] == ["yes", "no"], "nothing heard, no delta"


async def test_turns_are_recognised_in_order_while_the_next_is_spoken() -> None:
    gate = asyncio.Event()
    recogniser = CannedRecogniser(["first", "second"], gate=gate)
    async with talking(parts=FakeParts(recogniser=recogniser)) as client:
        await client.phone(create=False)
        await client.say(quiet(200), voice(400), quiet(600), voice(400), quiet(600))
        items = [(await client.until("input_audio_buffer.committed"))["item_id"] for _ in range(2)]
        gate.set()
        heard = [await client.until(HEARD) for _ in range(2)]
        assert [e["transcript"] for e in heard] == ["first", "second"]
        assert [e["item_id"] for e in heard] == items


class Eager:
    """A recogniser whose every answer is the number of ms it was given."""

    name = "eager"

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def transcribe(self, pcm: bytes, rate: int, expect: Expectation) -> Hypothesis:
        self.asked.append(len(pcm) * 500 // rate)
        return Hypothesis(f"{self.asked[-1]}")

    async def warm_up(self) -> None: ...

    async def close(self) -> None: ...


async def test_recognition_begins_at_a_pause_and_is_thrown_away_when_speech_goes_on() -> None:
    ear = Eager()
    async with talking(parts=FakeParts(recogniser=ear)) as client:
        await client.phone(create=False, silence_duration_ms=500)
        await client.say(quiet(512), voice(320), quiet(352))
        await client.settle()
        await client.say(voice(320), quiet(600))
        heard = await client.until(HEARD)
        assert len(ear.asked) == 2, "one guess at each pause, none after the end"
        assert heard["transcript"] == f"{ear.asked[1]}"
        assert near(ear.asked[1] - ear.asked[0], 352 + 320)
        assert near(heard["usage"]["seconds"] * 1000 - ear.asked[1], 250)


async def test_a_guess_under_another_expectation_is_not_used() -> None:
    ear = Eager()
    async with talking(parts=FakeParts(recogniser=ear)) as client:
        await client.phone(create=False, silence_duration_ms=500)
        await client.say(quiet(512), voice(320), quiet(320))
        await client.settle()
        await client.phone(create=False, silence_duration_ms=500, prompt="Expect yes or no.")
        await client.say(quiet(600))
        assert (await client.until(HEARD))["transcript"] == f"{ear.asked[-1]}"
        assert len(ear.asked) == 2


async def test_a_failing_recogniser_is_told_and_the_reply_still_comes() -> None:
    class Deaf(CannedRecogniser):
        async def transcribe(self, pcm: bytes, rate: int, expect: Expectation) -> Hypothesis:
            raise RuntimeError("no model")

    async with talking(parts=FakeParts(recogniser=Deaf())) as client:
        await client.phone()
        await client.say(quiet(200), voice(400), quiet(600))
        await client.until("conversation.item.input_audio_transcription.failed")
        done = await client.until("response.done")
        assert "did not catch" in done["response"]["output"][0]["content"][0]["transcript"]


async def test_words_are_understood_even_when_transcripts_are_off() -> None:
    async with talking(parts=FakeParts(recogniser=CannedRecogniser(["opening hours"]))) as client:
        await client.phone()
        await client.session(audio={"input": {"transcription": None}})
        await client.say(quiet(200), voice(400), quiet(600))
        done = await client.until("response.done")
        assert "opening hours" in done["response"]["output"][0]["content"][0]["transcript"].lower()
        assert HEARD not in client.kinds()


async def test_the_caller_interrupts_the_running_reply() -> None:
    gate = Gate()
    async with talking(parts=FakeParts(voice=ToneVoice(gate=gate.stream))) as client:
        await client.phone(create=False)
        await client.send("response.create", response={"instructions": '"One two three four."'})
        gate.open(2)
        await client.until("response.output_audio.delta")
        start = len(client.log)
        await client.say(quiet(500), voice(400))
        done = (await client.until("response.done"))["response"]
        assert client.kinds(start)[0] == "input_audio_buffer.speech_started"
        assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}


async def test_no_interruption_when_switched_off_and_the_automatic_reply_collides() -> None:
    gate = Gate()
    async with talking(parts=FakeParts(voice=ToneVoice(gate=gate.stream))) as client:
        await client.phone(interrupt=False)
        await client.send("response.create", response={"instructions": '"One two three four."'})
        running = (await client.until("response.created"))["response"]["id"]
        await client.say(quiet(500), voice(400), quiet(600))
        error = (await client.until("error"))["error"]
        assert error["code"] == "conversation_already_has_active_response"
        assert running in error["message"]
        assert error["event_id"] is None, "no client event caused it"
        gate.open(100)
        assert (await client.until("response.done"))["response"]["status"] == "completed"


async def test_out_of_band_replies_are_not_interrupted() -> None:
    gate = Gate()
    async with talking(parts=FakeParts(voice=ToneVoice(gate=gate.stream))) as client:
        await client.phone(create=False)
        await client.send("response.create", response={"instructions": '"One."', "conversation": "none"})
        await client.until("response.created")
        await client.say(quiet(500), voice(400), quiet(600))
        await client.until("input_audio_buffer.committed")
        gate.open(100)
        assert (await client.until("response.done"))["response"]["status"] == "completed"


async def test_keypad_tones_are_no_speech() -> None:
    async with talking() as client:
        await client.phone()
        start = len(client.log)
        await client.say(quiet(500), keypad(300), quiet(500), keypad(80), quiet(500))
        assert await client.settle() == []
        await client.say(voice(400))
        await client.until("input_audio_buffer.speech_started")
        assert client.kinds(start).count("input_audio_buffer.speech_started") == 1


async def test_a_turn_by_hand() -> None:
    recogniser = CannedRecogniser(["operator"])
    async with talking(parts=FakeParts(recogniser=recogniser)) as client:
        await client.phone()
        await client.session(audio={"input": {"turn_detection": None}})
        await client.say(quiet(100), voice(300), quiet(100))
        assert await client.settle() == []
        await client.send("input_audio_buffer.commit")
        committed = await client.until("input_audio_buffer.committed")
        assert (await client.until(HEARD))["transcript"] == "operator"
        assert recogniser.turns[0][0] == 500
        retrieved = await client.ask(
            "conversation.item.retrieve", "conversation.item.retrieved", item_id=committed["item_id"]
        )
        assert len(base64.b64decode(retrieved["item"]["content"][0]["audio"])) == 500 * 8
        await client.say(voice(300))
        await client.ask("input_audio_buffer.clear", "input_audio_buffer.cleared")
        assert (await client.refused("input_audio_buffer.commit"))[
            "code"
        ] == "input_audio_buffer_commit_empty"


async def test_wideband_pcm_is_heard_too() -> None:
    import math
    from array import array

    tone = array("h", (round(9000 * math.sin(2 * math.pi * 300 * n / 24000)) for n in range(24 * 600)))
    audio = bytes(24 * 500 * 2) + tone.tobytes() + bytes(24 * 700 * 2)
    async with talking(parts=FakeParts(recogniser=CannedRecogniser(["billing"]))) as client:
        odd = 961  # an event may end in the middle of a sample
        for at in range(0, len(audio), odd):
            chunk = base64.b64encode(audio[at : at + odd]).decode()
            await client.send("input_audio_buffer.append", audio=chunk)
        started = await client.until("input_audio_buffer.speech_started")
        stopped = await client.until("input_audio_buffer.speech_stopped")
        assert near(started["audio_start_ms"], 500 - 300)
        assert near(stopped["audio_end_ms"], 1100 + 500)


async def test_silence_after_a_reply_triggers_the_idle_timeout() -> None:
    async with talking() as client:
        await client.phone(idle_timeout_ms=1000)
        await client.say(quiet(2000))
        assert await client.settle() == [], "before the first reply silence does not count"
        await client.send("response.create", response={"instructions": '"Hi."'})
        await client.until("response.done")
        start = len(client.log)
        await client.say(quiet(3000))
        timeout = await client.until("input_audio_buffer.timeout_triggered")
        await client.until("response.done")
        assert timeout["audio_end_ms"] - timeout["audio_start_ms"] >= 1000
        assert near(timeout["audio_start_ms"], 2000 + 3 * 60, slack=100), (
            "counted from the end of the reply's sound"
        )
        kinds = client.kinds(start)
        at = kinds.index("input_audio_buffer.timeout_triggered")
        assert kinds[at + 1 : at + 5] == [*TURN[2:], "response.created"]


async def test_audio_of_a_clients_own_item_is_recognised() -> None:
    async with talking(parts=FakeParts(recogniser=CannedRecogniser(["goodbye"]))) as client:
        await client.phone()
        content: list[dict[str, Any]] = [
            {"type": "input_audio", "audio": base64.b64encode(voice(400)).decode()}
        ]
        item = {"type": "message", "role": "user", "content": content}
        await client.send("conversation.item.create", item=item)
        assert (await client.until(HEARD))["transcript"] == "goodbye"


async def test_sessions_do_not_share_anything() -> None:
    from websockets.asyncio.client import connect

    from voiceagent.engine.run import start_engine

    async with (
        await start_engine(EngineConfig(seed=1, pace=0), FakeParts()) as engine,
        connect(engine.url, compression=None) as one,
        connect(engine.url, compression=None) as two,
    ):
        first, second = WireClient(one), WireClient(two)
        created = [await each.until("session.created") for each in (first, second)]
        assert created[0]["session"]["id"] != created[1]["session"]["id"]
        await first.phone()
        await first.say(quiet(200), voice(400))
        await first.until("input_audio_buffer.speech_started")
        one.transport.abort()
        await second.session()
        assert second.kinds() == ["session.created", "session.updated"]


async def test_the_script_of_the_loop_back_mode_is_heard() -> None:
    config = EngineConfig(seed=1, pace=0, hear=("yes please",))
    async with talking(config) as client:
        await client.phone(create=False)
        await client.say(quiet(200), voice(400), quiet(600))
        assert (await client.until(HEARD))["transcript"] == "yes please"
