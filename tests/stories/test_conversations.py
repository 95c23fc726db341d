"""``converse`` in whole calls: each turn is answered at its end, and every way in which it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import eventually, virtual, virtual_run
from voiceagent.errors import ConfigError
from voiceagent.ivr import Call, Conversation, flow, goal, tool
from voiceagent.ivr.conversation import DONE_TOOL
from voiceagent.realtime.requests import Origin, OutcomeKind


def talking(prompt: str | None = "Greet.", **options: Any) -> tuple[Story, list[Conversation]]:
    """Return a call whose flow converses once and keeps what came of it."""
    had: list[Conversation] = []

    @flow("talker")
    async def talker(call: Call) -> None:
        had.append(await call.converse(prompt, **options))

    story = Story(talker)
    story.start()
    return story, had


async def heard(story: Story) -> None:
    """Wait until a line was heard to its end."""
    await story.agent_speaks()
    await story.agent_silent()


def responses(story: Story) -> list[Mapping[str, Any]]:
    return [event.get("response", {}) for event in story.provider.creates()]


@virtual
async def test_each_turn_is_answered_when_it_ends_and_before_its_text_is_known() -> None:
    story, had = talking(until="goodbye", metadata={"topic": "chat"})
    await heard(story)
    await story.caller_begins()
    await asyncio.sleep(1)
    item = "turn_1"
    story.provider.emit("input_audio_buffer.speech_stopped", audio_end_ms=1000, item_id=item)
    story.provider.emit("input_audio_buffer.committed", item_id=item, previous_item_id=None)
    response = await story.creates(2)
    assert "instructions" not in response, "the model answers by its standing prompt"
    assert response["metadata"]["topic"] == "chat"
    story.provider.transcribed(item, "I would like to know more")
    await heard(story)
    await story.caller_says("that was all, goodbye")
    await story.ends()

    (talk,) = had
    assert talk.reason == "said"
    assert [turn.said for turn in talk.turns] == ["I would like to know more", "that was all, goodbye"]
    first = talk.turns[0].reply
    assert first is not None
    assert first.completed
    assert talk.last == "that was all, goodbye"
    origins = [entry.request.origin for entry in story.call.ledger]
    assert origins[:2] == [Origin.IVR, Origin.TURN]
    ended = [entry for entry in story.entries if entry["type"] == "conversation.ended"]
    assert [(one["reason"], one["turns"]) for one in ended] == [("said", 2)]


@virtual
async def test_a_reply_that_nobody_has_heard_yet_is_taken_back_by_the_last_words() -> None:
    story, had = talking(until=["goodbye", "that is all"])
    await heard(story)
    story.provider.plans.append(Reply(first_after_s=3))
    await story.caller_says("that is all")
    await story.ends()
    assert had[0].reason == "said"
    assert story.kinds() == ["completed", "withdrawn"]


@virtual
async def test_a_reply_that_is_being_heard_is_heard_to_its_end() -> None:
    story, had = talking(until="goodbye")
    await heard(story)
    story.provider.plans.append(Reply(text="Goodbye and thank you.", audio_ms=3000))
    await story.caller_says("goodbye")
    await story.ends()
    reply = had[0].turns[0].reply
    assert reply is not None
    assert (reply.kind, reply.heard_ms) == (OutcomeKind.COMPLETED, 3000)


@virtual
async def test_the_caller_may_talk_over_a_reply_and_is_answered_again() -> None:
    story, had = talking(turns=2)
    await heard(story)
    story.provider.plans.append(Reply(audio_ms=10_000))
    await story.caller_says("tell me everything")
    await story.agent_speaks()
    await asyncio.sleep(1)
    await story.caller_says("no, only the price")
    await story.ends()

    (talk,) = had
    assert talk.reason == "turns"
    first, second = talk.turns
    assert first.reply is not None
    assert second.reply is not None
    assert first.reply.interrupted
    assert 0 < first.reply.heard_ms < 3000
    assert second.reply.completed
    assert [turn.said for turn in talk.turns] == ["tell me everything", "no, only the price"]


def late(text: str) -> bool:
    return "price" in text


async def late_as_well(text: str) -> bool:
    await asyncio.sleep(0.1)
    return late(text)


@pytest.mark.parametrize("until", [late, late_as_well])
def test_a_function_may_decide(until: Any) -> None:
    async def story() -> list[Conversation]:
        call, had = talking(until=until)
        await heard(call)
        await call.caller_says("what a day")
        await heard(call)
        await call.caller_says("what is the price")
        await call.ends()
        return had

    (talk,) = virtual_run(story())
    assert talk.reason == "until"
    assert len(talk.turns) == 2


@virtual
async def test_the_model_says_that_the_goal_is_reached_and_the_flow_goes_on_without_a_further_word() -> None:
    story, had = talking(until=goal("the caller has named a day and a time"))
    await heard(story)
    named = '{"summary": "Tuesday at three"}'
    story.provider.plans.append(Reply(text="Noted.", audio_ms=600, calls=[("c1", DONE_TOOL, named)]))
    await story.caller_says("Tuesday at three, please")
    await story.ends()

    (talk,) = had
    assert (talk.reason, talk.summary) == ("tool", "Tuesday at three")
    assert f"{talk.summary}" == '"Tuesday at three"', "as little to be trusted as the caller's words"
    assert len(story.provider.creates()) == 2
    offered = responses(story)[1]["tools"]
    assert [one["name"] for one in offered] == [DONE_TOOL]
    assert "as soon as the caller has named a day and a time" in offered[0]["description"]


@virtual
async def test_tools_are_limited_to_the_conversation_and_their_results_are_spoken() -> None:
    asked: list[str] = []

    @tool
    async def price(item: str) -> str:
        """Look up a price."""
        asked.append(item)
        return "5 euros"

    story, had = talking(tools=[price], turns=1)
    await heard(story)
    calls = [("c1", "price", '{"item": "tea"}'), ("c2", DONE_TOOL, "{}")]
    story.provider.plans.extend([Reply(audio_ms=0, calls=calls), Reply(text="Five euros.", audio_ms=700)])
    await story.caller_says("how much is tea")
    await story.ends()

    assert asked == ["tea"]
    reply = had[0].turns[0].reply
    assert reply is not None
    assert reply.heard_text == "Five euros."
    refused = [entry for entry in story.entries if entry["type"] == "tool.refused"]
    assert [(one["tool"], one["code"]) for one in refused] == [(DONE_TOOL, "unknown_tool")]
    assert had[0].reason == "turns"


@virtual
async def test_silence_comes_in_stages_and_ends_it() -> None:
    story, had = talking(idle=["Are you there?", "Hello?"], idle_s=5)
    await story.ends()
    assert had[0].reason == "silence"
    said = [response.get("instructions", "").partition("nothing else: ")[2] for response in responses(story)]
    assert said == ["", '"Are you there?"', '"Hello?"']


@virtual
async def test_an_operators_words_and_the_callers_begin_the_silence_anew() -> None:
    story, had = talking(idle=["Are you there?"], idle_s=5)
    await heard(story)
    await asyncio.sleep(4)
    story.provider.plans.append(Reply(text="A word.", audio_ms=3000))
    story.call.trigger("A word.", {}, request_id="op")
    await story.agent_speaks()
    await story.agent_silent()
    await asyncio.sleep(4)
    assert len(story.provider.creates()) == 2
    await story.caller_says("I am thinking")
    await heard(story)
    await asyncio.sleep(4)
    assert len(story.provider.creates()) == 3
    await story.ends()
    assert had[0].reason == "silence"


@virtual
async def test_a_key_ends_it_and_is_handed_to_the_flow() -> None:
    story, had = talking()
    story.provider.plans.append(Reply(audio_ms=8000))
    await story.agent_speaks()
    story.leg.press("0")
    await story.ends()
    assert (had[0].reason, had[0].digit) == ("digit", "0")
    assert len(story.leg.played) < 8000 * 8


@virtual
async def test_its_time_is_bounded_but_nobody_is_cut_off() -> None:
    story, had = talking(seconds=8)
    await heard(story)
    await asyncio.sleep(4)
    story.provider.plans.append(Reply(audio_ms=6000))
    await story.caller_says("tell me more")
    await story.ends()
    assert had[0].reason == "time"
    reply = had[0].turns[0].reply
    assert reply is not None
    assert reply.heard_ms == 6000


@virtual
async def test_a_cough_is_no_turn() -> None:
    story, had = talking(turns=1)
    await heard(story)
    story.provider.plans.append(Reply(first_after_s=2))
    await story.caller_says("")
    await story.caller_says("hello")
    await story.ends()
    assert [turn.said for turn in had[0].turns] == ["hello"]
    assert story.kinds() == ["completed", "withdrawn", "completed"]


@pytest.mark.parametrize("noise", ["", "mhm"])
def test_a_reply_that_a_cough_has_cut_is_spoken_on(noise: str) -> None:
    async def play() -> None:
        story, had = talking(turns=2)
        await heard(story)
        words = "one two three four five six seven eight nine ten eleven twelve"
        rest_of_it = Reply(text="six to twelve", audio_ms=3000)
        story.provider.plans.extend([Reply(text=words, audio_ms=6000), Reply(first_after_s=2), rest_of_it])
        await story.caller_says("count, please")
        await story.agent_speaks()
        await asyncio.sleep(2)
        await story.caller_says(noise, seconds=0.3)
        rest = await story.creates(4)
        await heard(story)
        await story.caller_says("thank you")
        await story.ends()

        (talk,) = had
        assert [turn.said for turn in talk.turns] == ["count, please", "thank you"]
        assert "eleven twelve" in rest["instructions"]
        assert "one two" not in rest["instructions"], "what was heard is not said again"
        reply = talk.turns[0].reply
        assert reply is not None
        assert reply.completed
        assert reply.heard_ms > 4000
        assert [one["type"] for one in story.entries if one["type"] == "line.resumed"] == ["line.resumed"]

    virtual_run(play())


@virtual
async def test_a_listeners_word_answers_where_nothing_was_cut() -> None:
    story, had = talking(turns=1)
    await heard(story)
    await story.caller_says("okay")
    await story.ends()
    assert [turn.said for turn in had[0].turns] == ["okay"]
    assert had[0].turns[0].reply is not None


@virtual
async def test_without_a_prompt_the_caller_begins() -> None:
    story, had = talking(None, turns=1)
    await eventually(lambda: story.call.step == "converse")
    assert story.provider.creates() == []
    await story.caller_says("hello")
    await story.ends()
    assert had[0].reason == "turns"
    assert len(story.provider.creates()) == 1


@virtual
async def test_who_interrupts_the_line_before_is_answered_at_once() -> None:
    had: list[Conversation] = []

    @flow("talker")
    async def talker(call: Call) -> None:
        await call.respond("Tell a long story.")
        had.append(await call.converse(turns=1))

    story = Story(talker)
    story.provider.plans.append(Reply(audio_ms=20_000))
    story.start()
    await story.agent_speaks()
    await asyncio.sleep(1)
    await story.caller_says("stop, what is the price")
    await story.ends()
    assert [turn.said for turn in had[0].turns] == ["stop, what is the price"]
    assert had[0].turns[0].reply is not None


@virtual
async def test_a_conversation_ends_with_the_call() -> None:
    story, had = talking()
    await heard(story)
    await story.caller_begins()
    story.leg.caller_hangs_up()
    outcome = await story.ends()
    assert had == []
    assert "open" not in story.kinds()
    assert outcome.reason == "caller_hung_up"


@tool(name=DONE_TOOL)
async def ours() -> str:
    """Takes a name that is taken."""
    return ""


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"turns": 0}, "turns"),
        ({"seconds": 0}, "seconds"),
        ({"idle_s": -1}, "idle_s"),
        ({"until": ""}, "until"),
        ({"until": []}, "until"),
        ({"until": goal(" ")}, "until"),
        ({"tools": [ours]}, "tools"),
    ],
)
def test_a_conversation_that_cannot_work_is_refused(options: dict[str, Any], field: str) -> None:
    async def story() -> list[ConfigError]:
        refused: list[ConfigError] = []

        @flow("talker")
        async def talker(call: Call) -> None:
            try:
                await call.converse("Greet.", **options)
            except ConfigError as error:
                refused.append(error)

        call = Story(talker)
        call.start()
        await call.ends()
        assert call.provider.creates() == []
        return refused

    assert [one.setting for one in virtual_run(story())] == [f"converse {field}"]


@virtual
async def test_the_recogniser_is_told_of_the_words_that_end_it() -> None:
    story, _ = talking(until=["that is all", "goodbye"], turns=1)
    await heard(story)
    transcription = story.provider.session["audio"]["input"]["transcription"]
    assert transcription["prompt"] == "Expect anything, such as: that is all; goodbye."
    await story.caller_says("that is all")
    await story.ends()
