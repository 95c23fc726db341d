"""The caller speaks over the agent: silence at once, truncation to what was heard, then the next reply."""

from __future__ import annotations

import asyncio

from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import virtual
from voiceagent.ivr import Call, Outcome, flow
from voiceagent.realtime.requests import When


@virtual
async def test_the_voice_stops_within_one_frame_and_the_item_is_truncated_to_what_was_heard() -> None:
    spoken: list[Outcome] = []

    @flow("talker")
    async def talker(call: Call) -> None:
        spoken.append(await call.respond("Tell a long story."))
        spoken.append(await call.respond("Say goodbye."))

    story = Story(talker)
    story.provider.plans.append(
        Reply(text="one two three four five six seven eight nine ten", audio_ms=10_000)
    )
    story.start()
    await story.agent_speaks()
    await asyncio.sleep(2.0)
    await story.caller_begins()
    played = len(story.leg.played)
    await asyncio.sleep(1.0)

    assert len(story.leg.played) == played, "not one frame more after the barge-in"
    heard_ms = played // 8
    truncates = [event for event in story.provider.received if event["type"] == "conversation.item.truncate"]
    assert [event["audio_end_ms"] for event in truncates] == [heard_ms]
    assert len(story.provider.creates()) == 1, "nothing is asked for while the caller speaks"

    await story.caller_stops("stop")
    await story.ends()

    first = spoken[0]
    assert first.interrupted
    assert first.heard_ms == heard_ms
    assert first.text.startswith(first.heard_text)
    assert len(first.heard_text) < len(first.text)
    assert spoken[1].completed
    assert story.call.barge_ins == 1
    cut = story.call.transcript.lines[0]
    assert cut.cut
    assert cut.text == first.heard_text


@virtual
async def test_an_uninterruptible_line_is_heard_to_its_end() -> None:
    spoken: list[Outcome] = []

    @flow("lawyer")
    async def lawyer(call: Call) -> None:
        spoken.append(await call.say("This call is recorded.", interruptible=False))

    story = Story(lawyer)
    # A reply that is generated at once, as hosted models do: the server's own cancel comes too late for it.
    story.provider.plans.append(Reply(text="This call is recorded.", audio_ms=3000, gap_s=0.0))
    story.start()
    await story.agent_speaks()
    await asyncio.sleep(0.5)
    await story.caller_says("hello?")
    await story.ends()

    assert spoken[0].completed
    assert spoken[0].heard_ms == 3000


@virtual
async def test_the_operators_word_waits_for_the_caller_and_is_then_heard() -> None:
    @flow("waiter")
    async def waiter(call: Call) -> None:
        await asyncio.sleep(8)

    story = Story(waiter)
    story.start()
    await asyncio.sleep(1)
    await story.caller_begins()
    entry = story.call.trigger("Tell the caller we close soon.", {"desk": "1"}, request_id="op-1")
    await asyncio.sleep(1)
    assert story.provider.creates() == []
    assert entry.reason == "caller_speaking", "the operator can see why it waits"

    await story.caller_stops("hm")
    response = await story.creates(1)
    assert response["metadata"]["origin"] == "operator"
    assert response["metadata"]["desk"] == "1"
    await story.ends()

    assert entry.outcome is not None
    assert entry.outcome.completed
    assert entry.outcome.heard_ms > 0


@virtual
async def test_an_operators_now_cuts_the_agent_and_is_heard_next() -> None:
    spoken: list[Outcome] = []

    @flow("talker")
    async def talker(call: Call) -> None:
        spoken.append(await call.respond("Tell a long story."))

    story = Story(talker)
    story.provider.plans.append(Reply(text="a b c d e f g h", audio_ms=8000))
    story.provider.plans.append(Reply(text="Fire drill.", audio_ms=900))
    story.start()
    await story.agent_speaks()
    await asyncio.sleep(1)
    entry = story.call.trigger("Say: fire drill.", {}, request_id="op-now", when=When.NOW)
    await story.ends()

    assert spoken[0].interrupted
    assert entry.outcome is not None
    assert entry.outcome.completed
    assert entry.outcome.heard_text == "Fire drill."


@virtual
async def test_a_trigger_accepted_before_the_goodbye_is_not_lost() -> None:
    @flow("short")
    async def short(call: Call) -> None:
        await call.respond("Hello.")

    story = Story(short)
    story.start()
    await story.agent_speaks()
    entry = story.call.trigger("One more thing.", {}, request_id="op-2")
    await story.ends()

    assert entry.outcome is not None
    assert entry.outcome.completed
    assert story.kinds() == ["completed", "completed"]
