"""A call comes in: it is answered, greeted, and ends with one outcome, whoever ends it."""

from __future__ import annotations

import asyncio

from tests.kit.fake_leg import FakeLeg
from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import settle, virtual
from voiceagent.call.config import CallConfig
from voiceagent.call.leg import LegEnd
from voiceagent.errors import MediaError, ProviderError, SipError
from voiceagent.ivr import Call, flow


@flow("greeter", instructions="Be brief.")
async def greeter(call: Call) -> None:
    await call.respond("Greet the caller.", metadata={"purpose": "greeting"})


@virtual
async def test_the_greeting_is_heard_whole_and_then_the_call_ends() -> None:
    story = Story(greeter)
    story.provider.default = Reply(text="Hello!", audio_ms=1200)
    story.start()

    outcome = await story.ends()

    assert (outcome.kind.value, outcome.reason) == ("success", "completed")
    assert story.leg.log == ["prepare", "answer", "hang_up completed"]
    assert len(story.leg.played) == 1200 * 8
    assert story.kinds() == ["completed"]
    assert [(line.speaker, line.text) for line in story.call.transcript.lines] == [("agent", "Hello!")]
    assert len(story.observed.ended) == 1


@virtual
async def test_the_frame_carries_the_standing_prompt_the_line_and_the_call_metadata() -> None:
    story = Story(greeter)
    story.start()

    response = await story.creates(1)

    assert response["instructions"] == "Be brief.\n\nGreet the caller."
    metadata = response["metadata"]
    assert metadata["purpose"] == "greeting"
    assert metadata["call_id"] == "call_1"
    assert metadata["origin"] == "ivr"
    assert metadata["turn"] == "1"
    assert metadata["va.req"] == next(iter(story.call.ledger)).request.id
    await story.ends()


@virtual
async def test_what_the_asker_gave_is_never_displaced_by_the_calls_own_keys() -> None:
    @flow("full")
    async def full(call: Call) -> None:
        await call.respond("Speak.", metadata={f"k{n}": "v" for n in range(12)})

    story = Story(full)
    story.start()
    metadata = (await story.creates(1))["metadata"]

    assert {f"k{n}" for n in range(12)} <= set(metadata)
    assert "call_id" in metadata
    assert len(metadata) <= 16
    await story.ends()


@virtual
async def test_the_callers_bye_cancels_the_flow_and_its_finally_runs() -> None:
    left: list[str] = []

    @flow("patient")
    async def patient(call: Call) -> None:
        try:
            await call.respond("Tell a long story.")
        finally:
            await asyncio.sleep(0.1)
            left.append("cleaned up")

    story = Story(patient)
    story.provider.default = Reply(audio_ms=20_000)
    story.start()
    await story.agent_speaks()
    story.leg.caller_hangs_up()

    outcome = await story.ends()

    assert (outcome.kind.value, outcome.reason) == ("success", "caller_hung_up")
    assert left == ["cleaned up"]
    assert story.kinds() in (["lost"], ["withdrawn"], ["interrupted"])
    assert "hang_up" not in " ".join(story.leg.log)


@virtual
async def test_a_cancelled_invite_ends_the_call_before_it_was_answered() -> None:
    story = Story(greeter, connect_s=2.0)
    story.start()
    await settle()
    story.leg.caller_hangs_up(LegEnd.CALLER_CANCELLED)

    outcome = await story.ends()

    assert (outcome.kind.value, outcome.reason) == ("caller", "caller_cancelled")
    assert "answer" not in story.leg.log


@virtual
async def test_no_common_codec_is_refused_with_its_status_and_is_the_callers_side() -> None:
    story = Story(
        greeter, leg=FakeLeg(fail=SipError("nothing in common", status=488, code="sdp_no_common_codec"))
    )
    story.start()

    outcome = await story.ends()

    assert (outcome.kind.value, outcome.status) == ("caller", 488)
    assert story.leg.log[:2] == ["prepare", "reject 488"]


@virtual
async def test_no_rtp_port_is_our_side_and_503() -> None:
    story = Story(greeter, leg=FakeLeg(fail=MediaError("no port", code="no_port")))
    story.start()

    outcome = await story.ends()

    assert (outcome.kind.value, outcome.reason, outcome.status) == ("ours", "no_port", 503)


@virtual
async def test_a_provider_that_refuses_makes_the_caller_hear_an_apology_within_four_seconds() -> None:
    story = Story(greeter, refuse=ProviderError("wrong key", code="http_401"))
    loop = asyncio.get_running_loop()
    offered = loop.time()
    story.start()
    await story.agent_speaks()
    heard_after = loop.time() - offered

    outcome = await story.ends()

    assert heard_after < 4.0
    assert (outcome.kind.value, outcome.reason) == ("provider", "http_401")
    assert len(story.leg.played) > 4 * 8000
    assert story.leg.log[-1].startswith("hang_up")


@virtual
async def test_a_provider_that_never_answers_makes_the_caller_hear_an_apology_within_four_seconds() -> None:
    story = Story(greeter, connect_s=3600)
    loop = asyncio.get_running_loop()
    offered = loop.time()
    story.start()
    await story.agent_speaks()

    assert loop.time() - offered < 4.0
    outcome = await story.ends()
    assert (outcome.kind.value, outcome.reason) == ("provider", "provider_timeout")


@virtual
async def test_a_provider_lost_in_the_middle_is_apologised_for_and_every_request_ends() -> None:
    story = Story(greeter)
    story.provider.default = Reply(audio_ms=10_000)
    story.start()
    await story.agent_speaks()
    story.provider_gone()

    outcome = await story.ends()

    assert (outcome.kind.value, outcome.reason) == ("provider", "provider_lost")
    assert "open" not in story.kinds()
    assert any(entry["type"] == "apology" for entry in story.entries)


@virtual
async def test_a_flow_that_raises_ends_the_call_on_our_side() -> None:
    @flow("broken")
    async def broken(call: Call) -> None:
        raise RuntimeError("a bug of the flow's author")

    story = Story(broken)
    story.start()

    outcome = await story.ends()

    assert (outcome.kind.value, outcome.reason) == ("ours", "flow_failed")
    assert "a bug of the flow's author" in outcome.detail


@virtual
async def test_a_call_has_a_longest_duration() -> None:
    @flow("endless")
    async def endless(call: Call) -> None:
        await asyncio.Event().wait()

    story = Story(endless, config=CallConfig(max_duration_s=60))
    loop = asyncio.get_running_loop()
    began = loop.time()
    story.start()

    outcome = await story.ends()

    assert outcome.reason == "max_duration"
    assert 60 <= loop.time() - began < 62


@virtual
async def test_the_journal_tells_the_call_in_order_and_ends_once() -> None:
    story = Story(greeter)
    story.start()
    await story.ends()

    kinds = [entry["type"] for entry in story.entries]
    assert kinds[0] == "call.offered"
    assert kinds[-1] == "call.ended"
    assert kinds.count("call.ended") == 1
    assert [entry["seq"] for entry in story.entries] == list(range(1, len(kinds) + 1))
    names = [entry["event"] for entry in story.entries if entry["type"] == "sequencer"]
    for name in ("Submitted", "SendCreate", "ResponseCreated", "PlaybackStarted", "PlaybackEnded", "Settled"):
        assert name in names


@virtual
async def test_a_provider_that_fails_every_response_is_apologised_for() -> None:
    @flow("hopeful")
    async def hopeful(call: Call) -> None:
        while True:
            await call.respond("Greet the caller.")

    story = Story(hopeful)
    story.provider.default = Reply(audio_ms=0, status="failed", error_code="insufficient_quota")
    loop = asyncio.get_running_loop()
    offered = loop.time()
    story.start()
    await story.agent_speaks()

    assert loop.time() - offered < 4.0
    outcome = await story.ends()
    assert (outcome.kind.value, outcome.reason) == ("provider", "insufficient_quota")
    assert len(story.leg.played) > 4 * 8000


@virtual
async def test_one_failed_response_between_good_ones_ends_nothing() -> None:
    spoken: list[str] = []

    @flow("steady")
    async def steady(call: Call) -> None:
        spoken.extend([(await call.respond("Speak.")).kind.value for _ in range(5)])

    story = Story(steady)
    for number in range(5):
        failing = number in (1, 3)
        plan = (
            Reply(audio_ms=0, status="failed", error_code="invalid_prompt")
            if failing
            else Reply(audio_ms=400)
        )
        story.provider.plans.append(plan)
    story.start()
    outcome = await story.ends()

    assert outcome.reason == "completed"
    assert spoken == ["completed", "failed", "completed", "failed", "completed"]
