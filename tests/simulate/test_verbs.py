"""Verbs that do more than speak and ask, in a simulated call."""

from __future__ import annotations

import pytest

from voiceagent.ivr import Call, Conversation, flow
from voiceagent.ivr.ports import Recording
from voiceagent.simulate.call_sim import CallSims
from voiceagent.simulate.record import Speech

kept: list[object] = []


async def status(parcel: str) -> str:
    """Never asked here."""
    raise AssertionError(parcel)


@flow("parcels", numbers=["7"])
async def parcels(call: Call) -> None:
    """You know about parcels."""
    kept.clear()
    await call.record(announce="This call is recorded.")
    kept.append(await call.fetch(status, "7"))
    kept.append(await call.converse('Ask: "What can I do?"', until="thank you"))
    kept.append(await call.stop_recording())
    await call.hold()
    await call.resume()
    await call.send_digits("12")
    await call.hangup("Bye.")


def test_a_flow_of_many_verbs_goes_its_way(call_sim: CallSims) -> None:
    call = call_sim(parcels, fetch={"status": "lost"})
    assert "What can I do?" in call.heard
    call.says("where is my parcel")
    assert "I heard: Where is my parcel" in call.heard
    call.says("thank you")
    assert call.heard == "Bye."
    fetched, talk, recording = kept
    assert fetched == "lost"
    assert isinstance(talk, Conversation)
    assert talk.reason == "said"
    assert isinstance(recording, Recording)
    assert recording.seconds is not None
    assert recording.seconds == pytest.approx(call.result.duration_s - 3.5, abs=1.5)
    assert call.result.reason == "completed"


def test_a_slow_fetch_is_waited_for(call_sim: CallSims) -> None:
    call = call_sim(parcels, fetch={"status": "lost"})
    quick = call.says("thank you").result.duration_s
    slow = call_sim.plays(parcels, "scenarios/slow_fetch.toml").duration_s
    assert slow - quick == pytest.approx(4.0, abs=0.5)


def test_a_faster_voice_takes_less_time(call_sim: CallSims) -> None:
    spans: list[float] = []
    for speed in (None, 1.5):

        @flow("reader", speed=speed)
        async def reader(call: Call) -> None:
            await call.say("One two three four five six seven eight nine ten eleven twelve.")

        (speech,) = call_sim(reader).result.record.speeches
        assert isinstance(speech, Speech)
        assert speech.until is not None
        spans.append(speech.until - speech.t)
    assert spans[0] / spans[1] == pytest.approx(1.5, abs=0.1)
