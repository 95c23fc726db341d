"""The fault script: its grammar, and each misbehaviour as a client sees it."""

from __future__ import annotations

import asyncio
import base64
from array import array
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.engine.protocol_client import Gate, WireClient, talking
from voiceagent.engine.config import EngineConfig
from voiceagent.engine.fakes import FakeParts, ToneVoice
from voiceagent.engine.faults import parse_faults
from voiceagent.engine.run import start_engine
from voiceagent.engine.wire_audio import decode
from voiceagent.errors import ConfigError


def faulty(script: str, parts: FakeParts | None = None) -> Any:
    return talking(EngineConfig(seed=1, pace=0, faults=script), parts)


async def speak(client: WireClient, text: str = "Hello.") -> dict[str, Any]:
    await client.send("response.create", event_id="mine", response={"instructions": f'"{text}"'})
    return (await client.until("response.done"))["response"]


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("explode", "line 1: unknown fault 'explode'"),
        ("\ndrop", "line 2: 'drop' needs on="),
        ("drop on=x nth", "'nth' is not of the form name=value"),
        ("drop on=x speed=3", "'drop' has no option 'speed'"),
        ("delay ms=fast", "ms=fast is not a whole number"),
        ("delay ms=-4", "must not be negative"),
        ("drop on=x times=often", "times=often is neither"),
        ("refuse event_id=maybe", "neither yes nor no"),
        ("cut", "needs either after="),
        ("cut after=1 after_ms=2", "needs either after="),
        ('refuse "odd"', "must follow name="),
    ],
)
def test_a_bad_script_is_refused_with_its_line(script: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=r"engine\.faults") as refused:
        parse_faults(script)
    assert complaint in str(refused.value)


async def test_a_bad_script_stops_the_start() -> None:
    with pytest.raises(ConfigError):
        await start_engine(EngineConfig(faults="explode"), FakeParts())


def test_comments_and_semicolons() -> None:
    plan = parse_faults('drop on=a # not this\n# nor this\nquiet; refuse message="wait a bit" nth=2')
    assert [(rule.verb, rule.line) for rule in plan.rules] == [("drop", 1), ("quiet", 3), ("refuse", 3)]
    assert plan.incoming("response.create") is None
    refusal = plan.incoming("response.create")
    assert refusal is not None
    assert refusal.message == "wait a bit"
    assert plan.incoming("response.create") is None


def test_delay_and_jitter_follow_the_dice() -> None:
    plan = parse_faults("delay on=response.* ms=100 jitter=50 times=all", lambda: 1.0)
    assert plan.outgoing("response.created").delay_ms == 150
    assert plan.outgoing("session.created").delay_ms == 0


async def test_drop_and_swallow() -> None:
    async with faulty("drop on=response.created; swallow on=response.create nth=2") as client:
        await speak(client)
        assert "response.created" not in client.kinds()
        await client.send("response.create")
        assert [e["type"] for e in await client.settle()] == ["rate_limits.updated"]
        await speak(client)
        assert client.kinds().count("response.created") == 1


async def test_duplicate() -> None:
    async with faulty("duplicate on=response.done") as client:
        first = await speak(client)
        assert await client.until("response.done") == client.log[-2]
        assert client.log[-1]["response"] == first


async def test_reorder() -> None:
    async with faulty("reorder on=response.created") as client:
        await speak(client)
        kinds = client.kinds()
        assert kinds.index("response.created") == kinds.index("response.output_item.added") + 1


async def test_reorder_of_the_last_event_does_not_lose_it() -> None:
    async with faulty("reorder on=session.updated") as client:
        await client.session()


@pytest.mark.parametrize(("option", "event_id"), [("", "mine"), ("event_id=no", None)])
async def test_refuse(option: str, event_id: str | None) -> None:
    async with faulty(f"refuse {option}") as client:
        await client.send("response.create", event_id="mine")
        error = (await client.until("error"))["error"]
        assert error["code"] == "conversation_already_has_active_response"
        assert error["event_id"] == event_id
        assert (await speak(client))["status"] == "completed"


async def test_fail_at_once_and_in_the_middle() -> None:
    script = "fail code=rate_limit_exceeded\nfail code=insufficient_quota nth=2 after_ms=100"
    async with faulty(script) as client:
        failed = await speak(client)
        assert failed["status"] == "failed"
        assert failed["status_details"]["error"]["code"] == "rate_limit_exceeded"
        assert failed["output"] == []
        failed = await speak(client)
        assert failed["status_details"]["error"]["code"] == "insufficient_quota"
        assert failed["output"][0]["status"] == "incomplete"
        assert (await speak(client))["status"] == "completed"


async def test_stall_stays_open_until_cancelled() -> None:
    async with faulty("stall after_ms=100") as client:
        await client.send("response.create", response={"instructions": '"One two three."'})
        await client.until("response.output_audio.delta")
        assert await client.settle() == []
        error = await client.refused("response.create")
        assert error["code"] == "conversation_already_has_active_response"
        await client.send("response.cancel")
        assert (await client.until("response.done"))["response"]["status"] == "cancelled"


async def test_near_silent_audio() -> None:
    async with faulty("quiet db=-60") as client:
        await speak(client)
        deltas = [e["delta"] for e in client.log if e["type"] == "response.output_audio.delta"]
        samples = array("h")
        samples.frombytes(decode(b"".join(map(base64.b64decode, deltas)), "audio/pcm"))
        assert 0 < max(map(abs, samples)) < 30


async def test_late_deltas_after_a_cancel() -> None:
    gate = Gate()
    async with faulty("late count=3", FakeParts(voice=ToneVoice(gate=gate.stream))) as client:
        await client.send("response.create", response={"instructions": '"One two three."'})
        gate.open(2)
        await client.until("response.output_audio.delta")
        await client.send("response.cancel")
        await client.until("rate_limits.updated")
        late = await client.settle()
        assert [e["type"] for e in late] == ["response.output_audio.delta"] * 3


@pytest.mark.parametrize(
    ("script", "close"),
    [
        ("cut after=3", 1011),
        ("cut after_ms=200 close=1001", 1001),
        ("cut after=4 close=1006", None),
        ("expire after=5", 1001),
    ],
)
async def test_cut_and_expire(script: str, close: int | None) -> None:
    async with faulty(script) as client:
        with pytest.raises(ConnectionClosed) as closed:
            await speak(client, "One two three four five.")
        received = closed.value.rcvd
        assert (received.code if received else None) == close
        errors = [e["error"]["code"] for e in client.log if e["type"] == "error"]
        assert errors == (["session_expired"] if script.startswith("expire") else [])


async def test_anonymous_errors() -> None:
    async with faulty("anonymous") as client:
        assert (await client.refused("response.cancel", event_id="mine"))["event_id"] is None


async def test_delay_holds_back_what_follows() -> None:
    async with faulty("delay on=response.created ms=50") as client:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await speak(client)
        assert loop.time() - began >= 0.05
        kinds = client.kinds()
        assert kinds.index("response.created") < kinds.index("response.output_item.added")


async def test_each_session_begins_the_script_anew() -> None:
    from websockets.asyncio.client import connect

    config = EngineConfig(seed=1, pace=0, faults="refuse")
    async with await start_engine(config, FakeParts()) as engine:
        for _ in range(2):
            async with connect(engine.url, compression=None) as socket:
                client = WireClient(socket)
                await client.refused("response.create")
