"""Real calls, heard by WebSocket clients while they go on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.kit.frequency import loud, strongest
from tests.kit.service import operator, service, until
from voiceagent.app.service import Service
from voiceagent.call.listening import QUEUE
from voiceagent.media import g711, live_track
from voiceagent.media.tones import sine
from voiceagent.media.wav import read_wav
from voiceagent.phone.phone import Phone, PhoneCall
from voiceagent.records.journal import read_journal

pytestmark = pytest.mark.loopback

AGENT_HZ = 440
"""The voice of the test's provider."""
OPERATOR_HZ = 1000

FLOW = """
import asyncio
from voiceagent.ivr import Call, flow

@flow("talker", numbers=["100"])
async def talker(call: Call) -> None:
    await call.say("One two three four five.")
    await asyncio.Event().wait()
"""


@pytest.fixture
def flows(tmp_path: Path) -> list[str]:
    path = tmp_path / "flows.py"
    path.write_text(FLOW, encoding="utf-8")
    return [str(path)]


@asynccontextmanager
async def ear(running: Service, call_id: str) -> AsyncIterator[ClientConnection]:
    assert running.addresses is not None
    assert running.addresses.console is not None
    where = running.addresses.console.replace("http", "ws", 1) + f"/v1/calls/{call_id}/listen"
    headers = {"Authorization": f"Bearer {running.addresses.console_token}"}
    async with connect(where, additional_headers=headers) as ws:
        yield ws


@asynccontextmanager
async def a_call(running: Service, phone: Phone) -> AsyncIterator[tuple[PhoneCall, str]]:
    """A call of the phone's that talks, and its id."""
    assert running.addresses is not None
    call = phone.dial(f"sip:100@{running.addresses.sip}")
    await call.answered()
    yield call, next(iter(running.directory.live)).id
    call.hang_up()
    await call.over()


class Heard:
    """What has come down one socket."""

    def __init__(self, ws: ClientConnection) -> None:
        self.sides = {live_track.CALLER: b"", live_track.AGENT: b""}
        self.states: list[Any] = []
        self._ws = ws

    async def until_loud(self, track: int, seconds: float) -> bytes:
        """Read on until so much sound of a side was heard; return it without its silence."""
        async with asyncio.timeout(45):
            while len(found := loud(self.sides[track])) < seconds * 8000:
                item = await self._ws.recv()
                if isinstance(item, str):
                    self.states.append(json.loads(item))
                    continue
                number, _, audio = live_track.split(item)
                self.sides[number] += audio
        return found

    async def until_tone(self, track: int, hertz: int) -> None:
        """Read on until the newest tenth of a second of a side's sound is this tone."""
        found = loud(self.sides[track])
        while len(found) < 800 or strongest(found[-800:]) != hertz:
            found = await self.until_loud(track, len(found) / 8000 + 0.02)


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
async def test_both_sides_of_a_real_call_are_heard_at_their_frequencies(
    tmp_path: Path, flows: list[str], codec: str
) -> None:
    async with (
        service(tmp_path, flows=flows) as running,
        Phone(codecs=(codec,)) as phone,
        a_call(running, phone) as (call, call_id),
        ear(running, call_id) as ws,
    ):
        heard = Heard(ws)
        assert strongest(await heard.until_loud(live_track.AGENT, 0.3)) == AGENT_HZ
        playing = asyncio.create_task(call.play(call.encode(sine(700, 1000))))
        assert strongest(await heard.until_loud(live_track.CALLER, 0.5)) == 700
        await playing
        assert heard.states[0]["listeners"][0]["name"] == "first run via api"
        async with operator(running) as client:
            [shown] = (await client.get("/v1/calls")).json()["calls"]
            assert shown["listeners"] == heard.states[0]["listeners"]
            assert "listen" in shown["abilities"]


async def test_listeners_come_and_go_and_the_end_of_the_call_is_told(
    tmp_path: Path, flows: list[str]
) -> None:
    async with service(tmp_path, flows=flows) as running, Phone() as phone:
        async with a_call(running, phone) as (_, call_id):
            async with ear(running, call_id) as first, ear(running, call_id) as second:
                await Heard(first).until_loud(live_track.AGENT, 0.1)
                await Heard(second).until_loud(live_track.AGENT, 0.1)
                assert len(running.directory.find(call_id).listening.names) == 2
            await until(lambda: not running.directory.find(call_id).listening.names)
            last = ear(running, call_id)
            ws = await last.__aenter__()
        with pytest.raises(ConnectionClosed):
            while True:
                await asyncio.wait_for(ws.recv(), 45)
        assert (ws.close_code, ws.close_reason) == (1000, "call_ended")
        await last.__aexit__(None, None, None)
        await until(lambda: not running.directory.live)
        with pytest.raises(InvalidStatus) as refused:
            async with ear(running, call_id):
                pass
        assert refused.value.response.status_code == 409


async def test_an_operators_voice_reaches_the_phone_while_the_agent_is_silent(
    tmp_path: Path, flows: list[str]
) -> None:
    async with (
        service(tmp_path, flows=flows) as running,
        Phone() as phone,
        a_call(running, phone) as (call, call_id),
        ear(running, call_id) as ws,
        operator(running) as client,
    ):
        heard = Heard(ws)
        await heard.until_loud(live_track.AGENT, 0.4)
        actions = f"/v1/calls/{call_id}/actions"
        taken = (await client.post(f"{actions}/take_over")).json()
        assert taken["taken_over_by"] == "first run via api"
        asked = {"instructions": "Say that it rains."}
        request = (await client.post(f"/v1/calls/{call_id}/responses", json=asked)).json()
        assert request["reason"] == "taken_over"

        speaking = asyncio.create_task(speak(ws, OPERATOR_HZ, 1.5))
        await heard.until_tone(live_track.AGENT, OPERATOR_HZ)
        await speaking
        assert heard.states[-1]["taken_over_by"] == "first run via api"
        back = await client.post(f"{actions}/hand_back")
        assert back.json()["taken_over_by"] == ""
        await heard.until_tone(live_track.AGENT, AGENT_HZ)
        await heard.until_loud(live_track.AGENT, len(loud(heard.sides[live_track.AGENT])) / 8000 + 0.4)
        told = (await client.get(request["links"]["self"])).json()
        assert told["state"] not in ("queued", "withdrawn", "lost")
        call.record(tmp_path / "phone.wav")

    wav = read_wav(tmp_path / "phone.wav")
    assert wav.encoding == "pcm"
    tones = "".join(tones_of(g711.encode(wav.channel(1))))
    assert tones.count("O") > 5
    assert "A" not in tones[tones.index("O") : tones.rindex("O")], "only the human's voice"
    assert "A" in tones[tones.rindex("O") :]
    (journal,) = (tmp_path / "journals").glob("*.jsonl")
    assert any(entry["type"] == "operator.speech_started" for entry in read_journal(journal))


def tones_of(audio: bytes) -> Iterator[str]:
    """Yield whose tone each loud tenth of a second is: the agent's or the operator's."""
    for at in range(0, len(audio) - 799, 800):
        piece = audio[at : at + 800]
        if len(loud(piece, above=4000)) == len(piece):  # the sound of waiting is softer
            yield {AGENT_HZ: "A", OPERATOR_HZ: "O"}.get(strongest(piece), "?")


async def speak(ws: ClientConnection, hertz: int, seconds: float) -> None:
    """Send a tone up, at the pace of a microphone."""
    audio = g711.encode(sine(hertz, round(seconds * 1000)))
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number, at in enumerate(range(0, len(audio), 160)):
        await ws.send(audio[at : at + 160])
        await asyncio.sleep(max(0.0, began + (number + 1) * 0.02 - loop.time()))


async def test_a_listener_who_takes_nothing_does_not_touch_the_calls_pacing(
    tmp_path: Path, flows: list[str]
) -> None:
    async with (
        service(tmp_path, flows=flows) as running,
        Phone() as phone,
        a_call(running, phone) as (call, call_id),
        ear(running, call_id) as ws,
    ):
        ws.transport.pause_reading()
        listening = running.directory.find(call_id).listening
        [listener] = listening.of("first run via api")
        for _ in range(1000):  # more than the sockets between us can hold
            for _ in range(QUEUE):
                listener.put(b"\x01" * live_track.FRAME_SIZE)
            await asyncio.sleep(0)
        assert listener.dropped > 1000
        before, dropped = running.directory.find(call_id).leg.figures().sent, listener.dropped
        await call.play(call.encode(sine(700, 1000)))
        assert running.directory.find(call_id).leg.figures().sent - before > 25
        assert listener.dropped > dropped, "it takes nothing still"
