"""A call that outlasts the drain of its node: the caller hears a goodbye, then the BYE; never silence."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.kit.fake_leg import FakeLeg
from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import eventually, virtual
from voiceagent.call.call_state import CallState
from voiceagent.call.config import DRAIN_SENTENCE, CallConfig
from voiceagent.call.farewell import HEAR_OUT_S, dismiss
from voiceagent.call.leg import TransferResult
from voiceagent.call.outcome import OutcomeClass
from voiceagent.ivr import Call, Flow, flow

SENTENCE_MS = 2000
DESK = "sip:desk@example.com"


def talker(**options: Any) -> Flow:
    @flow("talker", **options)
    async def talker(call: Call) -> None:
        await call.respond("Greet the caller.")
        while True:
            await asyncio.sleep(8)
            await call.respond("Say something more.")

    return talker


def story_of(one: Flow | None = None, config: CallConfig | None = None, **options: Any) -> Story:
    story = Story(one or talker(), config=config, **options)
    story.provider.default = Reply(DRAIN_SENTENCE, audio_ms=SENTENCE_MS)
    return story


def types(story: Story) -> list[str]:
    return [one["type"] for one in story.entries]


def asked(story: Story) -> str:
    """What the newest create asks the model to say."""
    return story.provider.creates()[-1]["response"]["instructions"]


def ended_once(story: Story) -> None:
    """One terminal record, at the end, and nothing left behind."""
    assert types(story).count("call.ended") == 1
    assert types(story)[-1] == "call.ended"
    assert len(story.observed.ended) == 1
    assert story.call.session is None


@virtual
async def test_the_caller_hears_the_sentence_whole_and_then_the_bye() -> None:
    story = story_of()
    story.start()
    await story.agent_speaks()
    await story.agent_silent()
    dismiss(story.call)
    outcome = await story.ends(within_s=10)

    assert (outcome.kind.value, outcome.reason, outcome.then) == ("ours", "drained", "")
    assert f'word for word, and nothing else: "{DRAIN_SENTENCE}"' in asked(story)
    assert len(story.leg.played) == 2 * SENTENCE_MS * 8, "greeting and goodbye were heard whole"
    assert story.kinds() == ["completed", "completed"]
    assert story.leg.log[-1] == "hang_up drained"
    assert "apology" not in types(story)
    ended_once(story)


@virtual
async def test_the_sentence_is_the_settings_or_the_language_of_the_flow() -> None:
    for one, config, words in (
        (talker(language="de"), None, "Auf Wiederhören"),
        (talker(language="de"), CallConfig(drain_sentence="Back in a minute."), "Back in a minute."),
    ):
        story = story_of(one, config)
        story.start()
        await story.agent_speaks()
        dismiss(story.call)
        await story.ends(within_s=20)
        assert words in asked(story)


@virtual
@pytest.mark.parametrize("audio_ms", [3000, 60_000])
async def test_what_is_being_said_is_heard_out_for_a_little_while(audio_ms: int) -> None:
    story = story_of()
    story.provider.plans.append(Reply("A long story.", audio_ms=audio_ms))
    story.start()
    await story.agent_speaks()
    dismiss(story.call)
    await story.ends(within_s=20)
    first = min(audio_ms, round(HEAR_OUT_S * 1000))
    heard_ms = len(story.leg.played) / 8
    assert abs(heard_ms - first - SENTENCE_MS) < 400
    assert story.kinds() == ["completed" if audio_ms == 3000 else "withdrawn", "completed"]
    assert story.leg.log[-1] == "hang_up drained"


@virtual
async def test_what_waits_to_be_said_is_not_said_any_more() -> None:
    story = story_of()
    story.start()
    await story.agent_speaks()
    story.call.trigger("Tell the weather.", {}, request_id="op1")
    dismiss(story.call)
    await story.ends(within_s=10)
    assert story.kinds() == ["completed", "withdrawn", "completed"]
    assert "Auf" not in asked(story)
    assert DRAIN_SENTENCE in asked(story)


@virtual
async def test_a_caller_who_speaks_is_not_talked_over_but_not_waited_for_for_ever() -> None:
    story = story_of()
    story.start()
    await story.agent_speaks()
    await story.agent_silent()
    await story.caller_begins()
    dismiss(story.call)
    await asyncio.sleep(6)
    assert len(story.provider.creates()) == 1, "longer than a session has to begin; the caller's turn"
    await story.caller_stops("and then he said")
    outcome = await story.ends(within_s=10)
    assert outcome.reason == "drained"
    assert story.kinds()[-1] == "completed"


@virtual
@pytest.mark.parametrize("how", ["deaf", "lost", "speaks on"])
async def test_where_the_sentence_cannot_be_said_the_recorded_line_is_played(how: str) -> None:
    story = story_of()
    story.start()
    await story.agent_speaks()
    await story.agent_silent()
    before = len(story.leg.played)
    if how == "deaf":
        story.provider.faults.swallow_creates = 99
    elif how == "speaks on":
        await story.caller_begins()
    dismiss(story.call)
    if how == "lost":
        story.provider_gone()
    outcome = await story.ends(within_s=30)
    assert (outcome.kind.value, outcome.reason) == ("ours", "drained")
    assert "apology" in types(story)
    assert len(story.leg.played) > before + 8000
    ended_once(story)


@virtual
async def test_a_caller_on_hold_hears_nothing_and_is_not_waited_for_longer_than_the_limit() -> None:
    story = story_of()
    story.start()
    await story.agent_speaks()
    await story.agent_silent()
    story.leg.listener.leg_held(True)
    dismiss(story.call)
    outcome = await story.ends(within_s=CallConfig().farewell_limit_s + 2)
    assert outcome.reason == "drained"
    assert "apology" not in types(story), "nobody would hear it"


@virtual
async def test_a_caller_whom_the_flow_put_on_hold_is_taken_back_first() -> None:
    @flow("holder")
    async def holder(call: Call) -> None:
        await call.hold()
        await asyncio.sleep(1000)

    story = story_of(holder)
    story.start()
    await eventually(lambda: "hold" in story.leg.log)
    dismiss(story.call)
    await story.ends(within_s=20)
    assert [one for one in story.leg.log if one in ("hold", "resume")] == ["hold", "resume"]
    assert story.kinds() == ["completed"]


@virtual
@pytest.mark.parametrize("accepted", [True, False])
async def test_a_transfer_under_way_comes_to_its_end_first(accepted: bool) -> None:
    class SlowLeg(FakeLeg):
        async def transfer(self, target: str, *, timeout_s: float, progress: Any = None) -> TransferResult:
            await asyncio.sleep(8)
            return await super().transfer(target, timeout_s=timeout_s, progress=progress)

    leg = SlowLeg()
    leg.transfer_result = TransferResult(accepted, 200 if accepted else 486)
    story = story_of(None, CallConfig(transfer_targets=(DESK,)), leg=leg)
    story.start()
    await story.agent_speaks()
    await story.agent_silent()
    await story.call.operating.transfer(DESK, "ann", attended=False)
    dismiss(story.call)
    outcome = await story.ends(within_s=30)
    assert (outcome.reason, outcome.then) == ("drained", "transferred" if accepted else "")
    assert story.kinds()[1:] == ([] if accepted else ["completed"])


@virtual
async def test_a_caller_who_hangs_up_into_the_goodbye_ends_it() -> None:
    story = story_of()
    story.start()
    await story.agent_speaks()
    await story.agent_silent()
    dismiss(story.call)
    await story.agent_speaks()
    story.leg.caller_hangs_up()
    outcome = await story.ends(within_s=2)
    assert (outcome.reason, outcome.then) == ("drained", "caller_hung_up")
    ended_once(story)


@virtual
@pytest.mark.parametrize("after_s", [0.0, 0.5, 1.5, 4.0])
async def test_a_second_signal_ends_the_goodbye_at_once_with_a_bye(after_s: float) -> None:
    story = story_of()
    story.start()
    await story.agent_speaks()
    await story.agent_silent()
    dismiss(story.call)
    await asyncio.sleep(after_s)
    story.call.end("shut_down", kind=OutcomeClass.OURS)
    await story.ends(within_s=1)
    assert story.leg.log[-1].startswith("hang_up")
    ended_once(story)


@virtual
@pytest.mark.parametrize("point", range(24))
async def test_at_whatever_point_of_its_set_up_a_call_is_dismissed_nothing_is_lost(point: int) -> None:
    """Every 0.1 s from the offer into the greeting, and the very first moments of the loop."""
    story = story_of(connect_s=1.0)
    story.start()
    for _ in range(point if point < 4 else 0):
        await asyncio.sleep(0)
    await asyncio.sleep(0 if point < 4 else (point - 3) * 0.1)
    talking = story.call.state is CallState.TALKING
    dismiss(story.call)
    outcome = await story.ends(within_s=30)
    assert outcome.reason == ("drained" if talking else "shut_down")
    if talking:
        assert story.leg.log[-1] == "hang_up drained"
        assert DRAIN_SENTENCE in asked(story)
        assert story.kinds()[-1] == "completed"
    else:
        assert story.leg.log[-1] == "reject 503", "another node may answer it"
        assert story.leg.retry_after_s, "or it would not be asked"
    ended_once(story)
