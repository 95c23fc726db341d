"""Real SIP, real RTP, the embedded provider: what a caller and an operator can rely on."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.kit.raw_sip import raw_sip
from tests.kit.service import operator, service, until
from voiceagent.errors import SipError
from voiceagent.phone.phone import Phone
from voiceagent.records.journal import read_journal

pytestmark = pytest.mark.loopback

FLOW = """
import asyncio
from voiceagent.ivr import Call, Digits, flow

@flow("line", numbers=["100"])
async def line(call: Call) -> None:
    await call.say("Hello and welcome to this line.")
    await call.collect("Ask for the code.", digits=Digits(4), no_input_s=30)
    await call.hangup("Bye.")

@flow("sleeper", numbers=["200"])
async def sleeper(call: Call) -> None:
    await call.say("Hi.")
    await asyncio.Event().wait()

@flow("mirror", numbers=["300"])
async def mirror(call: Call) -> None:
    await call.say("One two three four five six seven eight nine ten eleven twelve thirteen fourteen.")
    await asyncio.Event().wait()
"""


@pytest.fixture
def flows(tmp_path: Path) -> list[str]:
    path = tmp_path / "flows.py"
    path.write_text(FLOW, encoding="utf-8")
    return [str(path)]


async def test_a_call_is_answered_heard_and_ended_by_us_after_the_digits(
    tmp_path: Path, flows: list[str]
) -> None:
    async with service(tmp_path, flows=flows) as running, Phone() as phone:
        assert running.addresses is not None
        call = phone.dial(f"sip:100@{running.addresses.sip}")
        await call.answered()
        await call.until_answered_in_words()
        await call.press("4711")
        ended = await call.over(45)
        await until(lambda: not running.directory.live)
        view = running.directory.calls()[0]
        seconds = call.record(tmp_path / "call.wav")

    assert ended.by == "peer"
    assert view.outcome is not None
    assert (view.outcome["kind"], view.outcome["reason"]) == ("success", "completed")
    assert call.figures.first_audio_ms is not None
    assert seconds > 1
    journal = next((tmp_path / "journals").glob("*.jsonl"))
    entries = list(read_journal(journal))
    assert "".join(entry["digit"] for entry in entries if entry["type"] == "caller.digit") == "4711"
    assert entries[-1]["type"] == "call.ended"
    assert entries[-1]["media"]["sent"] > 50


async def test_it_rings_while_the_provider_is_reached(tmp_path: Path, flows: list[str]) -> None:
    noted: list[str] = []
    async with (
        service(tmp_path, flows=flows) as running,
        Phone(note=lambda _now, direction, label: noted.append(f"{direction} {label}")) as phone,
    ):
        assert running.addresses is not None
        await phone.dial(f"sip:200@{running.addresses.sip}").answered()
    assert noted[:2] == ["in 180 Ringing", "in 200 OK"]


async def test_an_unknown_number_gets_404(tmp_path: Path, flows: list[str]) -> None:
    async with service(tmp_path, flows=flows) as running, Phone() as phone:
        assert running.addresses is not None
        with pytest.raises(SipError) as refused:
            await phone.dial(f"sip:999@{running.addresses.sip}").answered()
    assert refused.value.status == 404


async def test_one_call_too_many_gets_503_and_the_first_goes_on(tmp_path: Path, flows: list[str]) -> None:
    async with service(tmp_path, flows=flows, call__max_calls=1) as running, Phone() as phone:
        assert running.addresses is not None
        first = phone.dial(f"sip:200@{running.addresses.sip}")
        await first.answered()
        with pytest.raises(SipError) as refused:
            await phone.dial(f"sip:200@{running.addresses.sip}").answered()
        assert refused.value.status == 503
        assert not first.ended.done()
        first.hang_up()
        await first.over()
        await until(lambda: not running.admission.live)  # its place is given back a moment after its end
        again = phone.dial(f"sip:200@{running.addresses.sip}")
        await again.answered()


async def test_alaw_passes_through(tmp_path: Path, flows: list[str]) -> None:
    async with service(tmp_path, flows=flows) as running, Phone(codecs=("PCMA",)) as phone:
        assert running.addresses is not None
        call = phone.dial(f"sip:200@{running.addresses.sip}")
        await call.answered()
        await call.ear.until_speaking(45)
        assert call.law == "PCMA"


async def test_the_callers_hang_up_ends_the_call_and_frees_everything(
    tmp_path: Path, flows: list[str]
) -> None:
    async with service(tmp_path, flows=flows) as running, Phone() as phone:
        assert running.addresses is not None
        call = phone.dial(f"sip:200@{running.addresses.sip}")
        await call.answered()
        await call.ear.until_speaking(45)
        call.hang_up()
        await until(lambda: not running.directory.live)
        view = running.directory.calls()[0]
        assert view.outcome is not None
        assert view.outcome["reason"] == "caller_hung_up"
        await until(lambda: not len(running.wheel or ()))


async def test_hold_and_resume(tmp_path: Path, flows: list[str]) -> None:
    async with service(tmp_path, flows=flows) as running, Phone() as phone:
        assert running.addresses is not None
        call = phone.dial(f"sip:300@{running.addresses.sip}")
        await call.answered()
        await call.ear.until_speaking(45)
        live = running.directory.live[0]
        call.hold(True)
        await until(lambda: live.held)
        call.hold(False)
        await until(lambda: not live.held)


async def test_an_operators_trigger_is_spoken_once_however_often_it_is_sent(
    tmp_path: Path, flows: list[str]
) -> None:
    async with service(tmp_path, flows=flows) as running, Phone() as phone, operator(running) as desk:
        assert running.addresses is not None
        call = phone.dial(f"sip:200@{running.addresses.sip}")
        await call.answered()
        await until(lambda: running.directory.live and running.directory.live[0].state.value == "talking")
        call_id = (await desk.get("/v1/calls")).json()["calls"][0]["id"]
        path = f"/v1/calls/{call_id}/responses"
        body = {"instructions": 'Say "Hello from the desk."', "metadata": {"desk": "7"}}
        answers = [await desk.post(path, json=body, headers={"Idempotency-Key": "k1"}) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [202, 202, 202]
        ids = {answer.json()["request_id"] for answer in answers}
        assert len(ids) == 1

        request_id = ids.pop()
        state: dict[str, object] = {}
        async with asyncio.timeout(45):
            while state.get("outcome") is None:
                state = (await desk.get(f"{path}/{request_id}")).json()
                await asyncio.sleep(0.02)
        outcome = state["outcome"]
        assert isinstance(outcome, dict)
        assert outcome["kind"] == "completed"
        assert outcome["heard_text"] == "Hello from the desk."
        listed = (await desk.get(path)).json()["responses"]
        assert [one["origin"] for one in listed].count("operator") == 1

        assert (await desk.post(f"/v1/calls/{call_id}/actions/hangup")).status_code == 200
        await call.over()
        late = await desk.post(path, json=body)
        assert late.status_code == 409
        assert "operator_hung_up" in late.text
        assert (await desk.post("/v1/calls/nobody/responses", json=body)).status_code == 404


async def test_a_trigger_with_wrong_fields_is_refused_by_name(tmp_path: Path, flows: list[str]) -> None:
    async with service(tmp_path, flows=flows) as running, Phone() as phone, operator(running) as desk:
        assert running.addresses is not None
        call = phone.dial(f"sip:200@{running.addresses.sip}")
        await call.answered()
        call_id = running.directory.live[0].id
        for body, field in (
            ({"instructions": 7}, "instructions"),
            ({"instructions": "x", "metadata": {"k": 1}}, "metadata.k"),
            ({"instructions": "x", "metadata": {"k": "v" * 513}}, "metadata.k"),
            ({"instructions": "x", "when": "never"}, "when"),
            ({"instructions": "x", "surprise": True}, "surprise"),
        ):
            answer = await desk.post(f"/v1/calls/{call_id}/responses", json=body)
            assert answer.status_code == 422, body
            assert field in json.dumps(answer.json()), body


async def test_a_provider_that_is_down_is_apologised_for(tmp_path: Path, flows: list[str]) -> None:
    async with (
        service(
            tmp_path, flows=flows, realtime__url="ws://127.0.0.1:9/v1/realtime", call__connect_timeout_s=3
        ) as running,
        Phone() as phone,
    ):
        assert running.addresses is not None
        call = phone.dial(f"sip:200@{running.addresses.sip}")
        await call.answered()
        await call.until_speaking()
        ended = await call.over(45)
        await until(lambda: not running.directory.live)
        view = running.directory.calls()[0]
    assert ended.by == "peer"
    assert view.outcome is not None
    assert view.outcome["kind"] == "provider"


async def test_draining_refuses_new_calls_and_lets_the_running_one_end(
    tmp_path: Path, flows: list[str]
) -> None:
    async with service(tmp_path, flows=flows) as running, Phone() as phone:
        assert running.addresses is not None
        call = phone.dial(f"sip:200@{running.addresses.sip}")
        await call.answered()
        draining = asyncio.ensure_future(running.drain())
        await asyncio.sleep(0)
        with pytest.raises(SipError) as refused:
            await phone.dial(f"sip:200@{running.addresses.sip}").answered()
        assert refused.value.status == 503
        assert not draining.done()
        call.hang_up()
        assert await draining


async def test_stopping_the_service_ends_calls_with_a_bye_and_a_record(
    tmp_path: Path, flows: list[str]
) -> None:
    async with Phone() as phone:
        async with service(tmp_path, flows=flows) as running:
            assert running.addresses is not None
            call = phone.dial(f"sip:200@{running.addresses.sip}")
            await call.answered()
        ended = await call.over()
    assert ended.by == "peer"
    entries = list(read_journal(next((tmp_path / "journals").glob("*.jsonl"))))
    assert entries[-1]["type"] == "call.ended"
    assert entries[-1]["reason"] == "shut_down"


async def test_options_says_what_an_invite_would_get(tmp_path: Path, flows: list[str]) -> None:
    async with service(tmp_path, flows=flows, call__max_calls=1) as running, Phone() as phone:
        assert running.addresses is not None
        async with raw_sip(running.addresses.sip) as proxy:
            assert (await proxy.ask("OPTIONS")).status == 200
            running.embedded.warmth = "warming up"
            cold = await proxy.ask("OPTIONS")
            assert (cold.status, cold.headers.get("Retry-After")) == (503, "2")
            running.embedded.warmth = "ok"
            call = phone.dial(f"sip:200@{running.addresses.sip}")
            await call.answered()
            full = await proxy.ask("OPTIONS")
            assert full.status == 503
            assert int(full.headers.get("Retry-After") or "") > 0
            call.hang_up()
            await call.over()
            await until(lambda: not running.admission.live)  # its place is given back a moment after its end
            assert (await proxy.ask("OPTIONS")).status == 200
            running.drainer.begin("test")
            assert (await proxy.ask("OPTIONS")).status == 503
