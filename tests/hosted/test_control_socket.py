"""The control socket is not the call: late attaches, losses in mid-sentence, and ends that are final."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from tests.hosted.kit import HostedStory
from tests.kit.scripted_provider import Reply
from tests.kit.virtual_loop import eventually, virtual
from voiceagent.call.config import CallConfig
from voiceagent.call.outcome import OutcomeClass
from voiceagent.ivr import Call, TransferOutcome, flow
from voiceagent.realtime.sip_attach import GIVE_UP_S


@flow("talker")
async def talker(call: Call) -> None:
    await call.respond("Tell a long story.")
    await call.respond("Tell another one.")
    await call.hangup()


@flow("waiter")
async def waiter(call: Call) -> None:
    await call.respond("Greet.")
    await asyncio.Event().wait()


def notices(story: HostedStory) -> list[str]:
    return story.observed.notices


@virtual
async def test_the_provider_may_not_know_its_call_at_once() -> None:
    story = HostedStory(talker)
    story.provider.know_after = 3
    story.start()
    outcome = await story.ends()
    assert outcome.reason == "completed"
    assert len(story.provider.attaches) == 4
    assert story.provider.attaches[-1] - story.provider.attaches[0] < 2.0


@virtual
async def test_a_call_that_is_gone_before_the_attach_was_hung_up_by_the_caller() -> None:
    story = HostedStory(talker)
    story.provider.know_after = 1000
    story.start()
    outcome = await story.ends()
    assert (outcome.kind, outcome.reason) == (OutcomeClass.SUCCESS, "caller_hung_up")
    assert story.provider.attaches[-1] - story.provider.attaches[0] <= 2.1
    assert [verb for verb, _ in story.provider.verbs] == ["accept"]


@pytest.mark.parametrize("status", [404, 409, 410])
def test_an_offer_that_is_settled_already_is_the_callers_end(status: int) -> None:
    @virtual
    async def story_of() -> None:
        story = HostedStory(talker)
        story.provider.answers["accept"] = [httpx.Response(status)]
        story.start()
        outcome = await story.ends()
        assert (outcome.kind, outcome.reason) == (OutcomeClass.CALLER, "already_settled")
        assert [verb for verb, _ in story.provider.verbs] == ["accept"]
        assert story.provider.attaches == []

    story_of()


@virtual
async def test_an_accept_that_is_refused_is_the_providers_fault_and_the_caller_is_told() -> None:
    story = HostedStory(talker)
    story.provider.answers["accept"] = [httpx.Response(400, json={"error": {"code": "invalid_value"}})]
    story.start()
    outcome = await story.ends()
    assert (outcome.kind, outcome.reason) == (OutcomeClass.PROVIDER, "invalid_value")
    assert story.provider.verbs[-1] == ("reject", {"status_code": 503})


@virtual
async def test_an_attach_that_is_refused_ends_the_call_at_the_provider() -> None:
    story = HostedStory(talker)
    story.provider.status = 401
    story.start()
    outcome = await story.ends()
    assert (outcome.kind, outcome.reason) == (OutcomeClass.PROVIDER, "http_401")
    assert len(story.provider.attaches) == 1
    assert [verb for verb, _ in story.provider.verbs] == ["accept", "hangup"], "nobody is left in silence"


@virtual
async def test_a_lost_socket_in_mid_sentence_costs_nothing() -> None:
    story = HostedStory(talker)
    words = "It was a dark and stormy night, and the rain fell in torrents, but at intervals it was checked."
    story.provider.plans.append(Reply(text=words, audio_ms=6000, gap_s=0.0))
    story.start()
    await eventually(lambda: story.call.floor == "agent")
    await asyncio.sleep(1.0)
    lost_at = asyncio.get_running_loop().time()
    story.provider.drop_socket()
    await eventually(lambda: "control_attached_again" in notices(story))
    assert asyncio.get_running_loop().time() - lost_at < 3.0
    outcome = await story.ends()
    assert outcome.reason == "completed"
    first, second = (entry.outcome for entry in list(story.call.ledger)[:2])
    assert first is not None
    assert second is not None
    assert first.completed
    assert abs(first.heard_ms - 6000) < 100
    assert second.completed
    assert story.provider.types().count("session.update") == 0
    assert len(story.provider.creates()) == 2, "nothing is said twice"


@virtual
async def test_what_is_said_to_the_model_while_the_socket_is_away_goes_out_when_it_is_back() -> None:
    story = HostedStory(waiter)
    story.start()
    await story.agent_speaks()
    await story.agent_silent()
    story.provider.drop_socket()
    await asyncio.sleep(0.05)
    assert story.call.session is not None
    story.call.session.note("The caller is a member.")
    story.call.trigger("Say hello to the member.", {}, request_id="op-1")
    await eventually(lambda: len(story.provider.creates()) == 2)
    kinds = [kind for kind in story.provider.types() if kind != "response.cancel"]
    assert kinds[-2:] == ["conversation.item.create", "response.create"]
    entry = story.call.ledger.get("op-1")
    await eventually(lambda: entry is not None and entry.outcome is not None)
    assert entry is not None
    assert entry.state == "completed"
    story.caller.caller_hangs_up()
    await story.ends()


@virtual
async def test_a_provider_that_stays_away_is_given_up_and_the_call_is_ended() -> None:
    story = HostedStory(waiter)
    story.start()
    await story.agent_speaks()
    story.provider.status = 503
    story.provider.drop_socket()
    began = asyncio.get_running_loop().time()
    outcome = await story.ends()
    took = asyncio.get_running_loop().time() - began
    assert (outcome.kind, outcome.reason) == (OutcomeClass.PROVIDER, "provider_lost")
    assert GIVE_UP_S < took < GIVE_UP_S + 10
    gaps = [b - a for a, b in zip(story.provider.attaches[1:], story.provider.attaches[2:], strict=False)]
    assert gaps == sorted(gaps)
    assert max(gaps) < 5.0
    assert story.provider.verbs[-1][0] == "hangup"


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_attach_is_not_tried_again(status: int) -> None:
    @virtual
    async def story_of() -> None:
        story = HostedStory(waiter)
        story.start()
        await story.agent_speaks()
        story.provider.status = status
        story.provider.drop_socket()
        outcome = await story.ends()
        assert (outcome.kind, outcome.reason) == (OutcomeClass.PROVIDER, "provider_lost")
        assert len(story.provider.attaches) == 2

    story_of()


@virtual
async def test_the_cap_of_the_session_is_final() -> None:
    story = HostedStory(waiter)
    story.start()
    await story.agent_speaks()
    story.provider.drop_socket(1001, "Your session has expired.")
    outcome = await story.ends()
    assert outcome.kind is OutcomeClass.PROVIDER
    assert len(story.provider.attaches) == 1


@virtual
async def test_the_call_may_end_while_the_socket_is_away() -> None:
    story = HostedStory(waiter)
    story.start()
    await story.agent_speaks()
    story.provider.status = 503
    story.provider.drop_socket()
    await asyncio.sleep(5)
    story.call.end("operator_hung_up")
    outcome = await story.ends(within_s=10)
    assert outcome.reason == "operator_hung_up"
    assert story.provider.verbs[-1][0] == "hangup"
    tries = len(story.provider.attaches)
    await asyncio.sleep(60)
    assert len(story.provider.attaches) == tries, "nobody dials any more"


@virtual
async def test_a_lost_end_of_playing_does_not_hold_up_the_caller() -> None:
    story = HostedStory(talker)
    story.provider.lose_stops = 1
    story.start()
    outcome = await story.ends()
    assert outcome.reason == "completed"
    assert story.kinds()[1] == "completed"


# ── transfer ─────────────────────────────────────────────────────────────────────────────────────
ALLOWED = CallConfig(transfer_targets=("sip:desk@*",), transfer_timeout_s=10)


@virtual
async def test_a_transfer_is_done_when_the_call_has_left_us() -> None:
    @flow("door")
    async def door(call: Call) -> None:
        await call.transfer("sip:desk@example.com")

    story = HostedStory(door, config=ALLOWED)
    story.start()
    await eventually(lambda: ("refer", {"target_uri": "sip:desk@example.com"}) in story.provider.verbs)
    await asyncio.sleep(2)
    story.provider.end_call()
    outcome = await story.ends()
    assert (outcome.kind, outcome.reason) == (OutcomeClass.SUCCESS, "transferred")
    assert [verb for verb, _ in story.provider.verbs] == ["accept", "refer"], (
        "a transferred call is not hung up"
    )


@virtual
async def test_a_transfer_that_is_refused_or_stays_lets_the_flow_go_on() -> None:
    results: list[TransferOutcome] = []

    @flow("door")
    async def door(call: Call) -> None:
        results.append(await call.transfer("sip:desk@example.com"))
        results.append(await call.transfer("sip:desk@example.com"))
        results.append(await call.transfer("sip:elsewhere@example.com"))
        await call.hangup()

    story = HostedStory(door, config=ALLOWED)
    story.provider.answers["refer"] = [
        httpx.Response(400, content=json.dumps({"error": {"code": "bad"}}).encode())
    ]
    story.start()
    outcome = await story.ends()
    assert outcome.reason == "completed"
    assert [(one.accepted, one.status) for one in results] == [(False, None), (False, 408), (False, 403)]
    assert [verb for verb, _ in story.provider.verbs] == ["accept", "refer", "refer", "hangup"]
