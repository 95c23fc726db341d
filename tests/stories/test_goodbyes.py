"""The goodbye is heard to its end before the BYE, whoever speaks into it, holds, or is slow."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.kit.fake_leg import FakeLeg
from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import eventually, virtual
from voiceagent.ivr import Call, flow

GOODBYE = Reply("Thank you for calling. Goodbye.", audio_ms=2000)
WHOLE = 2000 * 8


@flow("polite")
async def polite(call: Call) -> None:
    await call.hangup("Thank you for calling. Goodbye.")


class ByeLeg(FakeLeg):
    """Notes how much the caller had heard when the BYE went out."""

    heard_at_bye = -1

    async def hang_up(self, reason: str = "") -> None:
        if not self.ended:
            self.heard_at_bye = len(self.played)
        await super().hang_up(reason)


def story_of(one: Any = polite, reply: Reply = GOODBYE) -> tuple[Story, ByeLeg]:
    leg = ByeLeg()
    story = Story(one, leg=leg)
    story.provider.default = reply
    return story, leg


def types(story: Story) -> list[str]:
    return [entry["type"] for entry in story.entries]


@virtual
async def test_the_bye_comes_after_the_last_frame_and_the_far_ends_buffer() -> None:
    story, leg = story_of()
    story.start()
    await eventually(lambda: len(leg.played) == WHOLE)
    last = asyncio.get_running_loop().time()
    assert (await story.ends()).reason == "completed"
    assert leg.heard_at_bye == WHOLE
    assert asyncio.get_running_loop().time() - last >= 0.2


@virtual
@pytest.mark.parametrize(("gap_s", "creates"), [(0.02, 1), (0.25, 2)])
async def test_a_caller_who_speaks_into_the_goodbye_hears_it_whole(gap_s: float, creates: int) -> None:
    story, leg = story_of(reply=Reply(GOODBYE.text, audio_ms=2000, gap_s=gap_s))
    story.start()
    await story.agent_speaks()
    await asyncio.sleep(0.5)
    await story.caller_says("wait, one more thing")
    assert (await story.ends()).reason == "completed"
    assert len(story.provider.creates()) == creates, "again, where the provider had cut it by itself"
    assert leg.heard_at_bye >= WHOLE
    assert story.kinds()[-1] == "completed"
    assert "goodbye.cut" not in types(story)


@virtual
async def test_a_caller_who_speaks_into_every_goodbye_is_let_go_in_the_end() -> None:
    story, leg = story_of(reply=Reply(GOODBYE.text, audio_ms=2000, gap_s=0.25))
    story.start()
    for count in (1, 2, 3):
        await story.creates(count)
        await story.agent_speaks()
        await asyncio.sleep(0.3)
        await story.caller_says("but")
    assert (await story.ends()).reason == "completed"
    assert len(story.provider.creates()) == 3
    assert "goodbye.cut" in types(story)
    assert leg.log[-1].startswith("hang_up")


@virtual
async def test_a_caller_on_hold_hears_it_when_back() -> None:
    @flow("polite")
    async def later(call: Call) -> None:
        await asyncio.sleep(2)
        await call.hangup("Thank you for calling. Goodbye.")

    story, leg = story_of(later)
    story.start()
    await eventually(lambda: story.call.talking)
    leg.listener.leg_held(True)
    await asyncio.sleep(40)
    assert leg.heard_at_bye == -1
    leg.listener.leg_held(False)
    assert (await story.ends()).reason == "completed"
    assert leg.heard_at_bye == WHOLE


@virtual
async def test_a_caller_who_never_comes_back_from_hold_is_not_waited_for_for_ever() -> None:
    @flow("polite")
    async def later(call: Call) -> None:
        await asyncio.sleep(2)
        await call.hangup("Thank you for calling. Goodbye.")

    story, leg = story_of(later)
    story.start()
    await eventually(lambda: story.call.talking)
    leg.listener.leg_held(True)
    assert (await story.ends(within_s=200)).reason == "completed"
    assert "goodbye.cut" in types(story)
    assert leg.heard_at_bye == 0


@virtual
async def test_a_caller_whom_the_flow_has_put_on_hold_is_taken_back() -> None:
    @flow("polite")
    async def holder(call: Call) -> None:
        await call.hold()
        await asyncio.sleep(3)
        await call.hangup("Thank you for calling. Goodbye.")

    story, leg = story_of(holder)
    story.start()
    assert (await story.ends()).reason == "completed"
    assert [line for line in leg.log if line in ("hold", "resume")] == ["hold", "resume"]
    assert leg.heard_at_bye == WHOLE


@virtual
async def test_a_slow_provider_is_waited_for() -> None:
    story, leg = story_of(reply=Reply(GOODBYE.text, audio_ms=2000, first_after_s=6.0))
    story.start()
    assert (await story.ends()).reason == "completed"
    assert leg.heard_at_bye >= WHOLE
    assert story.kinds() == ["completed"]


@virtual
async def test_a_provider_that_never_says_it_does_not_keep_the_line() -> None:
    story, leg = story_of()
    story.provider.faults.swallow_creates = 99
    story.start()
    began = asyncio.get_running_loop().time()
    await story.ends(within_s=60)
    assert asyncio.get_running_loop().time() - began < 60
    assert leg.log[-1].startswith("hang_up")


@virtual
async def test_a_caller_who_hangs_up_is_not_talked_to() -> None:
    story, _ = story_of()
    story.start()
    await story.agent_speaks()
    story.leg.caller_hangs_up()
    assert (await story.ends()).reason == "caller_hung_up"
    assert "goodbye.cut" not in types(story)
    assert len(story.leg.played) < WHOLE
