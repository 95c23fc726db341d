"""The caller coughs, hums or says "mhm" over a line: it is spoken on from the word where it stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.hosted.kit import HostedStory
from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import eventually, virtual, virtual_run
from voiceagent.ivr import Call, Flow, Outcome, flow, option
from voiceagent.ivr.resuming import RESUMPTIONS
from voiceagent.realtime.requests import InterruptedBy

TEXT = "one two three four five six seven eight nine ten"
AT_ONCE = Reply(text=TEXT, audio_ms=10_000, gap_s=0.0)
"""Generated before it is heard, as hosted models do."""
SLOWLY = Reply(text=TEXT, audio_ms=10_000, gap_s=0.2)
"""Generated as fast as it is spoken: a cut ends the generation."""

Results = list[Any]


def speaks(*verbs: Callable[[Call], Coroutine[Any, Any, Any]], **options: Any) -> tuple[Flow, Results]:
    results: Results = []

    @flow("speaker", **options)
    async def speaker(call: Call) -> None:
        for verb in verbs:
            results.append(await verb(call))

    return speaker, results


def menu(call: Call) -> Coroutine[Any, Any, Any]:
    return call.choose("Offer billing or hours.", billing=option("1", "my bill"), hours="2")


def told(story: Story) -> list[str]:
    return [frame["response"]["instructions"] for frame in story.provider.creates()]


def resumptions(story: Story) -> list[dict[str, Any]]:
    return [dict(entry) for entry in story.entries if entry["type"] == "line.resumed"]


async def cut_after(story: Story, seconds: float, text: str, sound_s: float = 0.4) -> None:
    await story.agent_speaks()
    await asyncio.sleep(seconds)
    await story.caller_says(text, sound_s)


@pytest.mark.parametrize("sound", ["", "Mm-hmm.", "okay, I see"])
def test_a_text_is_spoken_on_word_for_word(sound: str) -> None:
    async def tale() -> tuple[Story, Outcome]:
        flow_, results = speaks(lambda call: call.say(TEXT.upper() + "!"))
        story = Story(flow_)
        story.provider.plans.append(AT_ONCE)
        story.provider.plans.append(Reply(text="the rest", audio_ms=1500))
        story.start()
        await cut_after(story, 3.0, sound)
        await story.ends()
        return story, results[0]

    story, outcome = virtual_run(tale())
    assert outcome.completed
    first, second = told(story)
    heard = len(resumptions(story)[0]["heard_text"].split())
    assert 1 <= heard < 10
    rest = " ".join(TEXT.upper().split()[heard:]) + "!"
    assert second.endswith(f'Say exactly this, word for word, and nothing else: "{rest}"')
    assert outcome.heard_text == " ".join(TEXT.split()[:heard]) + " the rest"
    assert outcome.heard_ms == resumptions(story)[0]["heard_ms"] + 1500
    assert first != second


@virtual
async def test_a_reply_that_was_generated_whole_is_spoken_on_word_for_word() -> None:
    flow_, results = speaks(lambda call: call.respond("Count."), language="de")
    story = Story(flow_)
    story.provider.plans.append(AT_ONCE)
    story.start()
    await cut_after(story, 4.0, "ja, genau")
    await story.ends()
    assert results[0].completed
    assert told(story)[1].endswith(f'"{TEXT[len(resumptions(story)[0]["heard_text"]) + 1 :]}"')


@virtual
async def test_a_reply_that_was_not_ready_goes_on_after_the_words_that_were_heard() -> None:
    flow_, results = speaks(lambda call: call.respond("Count to ten."))
    story = Story(flow_)
    story.provider.plans.append(SLOWLY)
    story.start()
    await cut_after(story, 3.0, "")
    await story.ends()
    assert results[0].completed
    heard = resumptions(story)[0]["heard_text"]
    assert TEXT.startswith(heard)
    assert f'heard you say "… {heard}". Go on right after these words' in told(story)[1]
    assert told(story)[1].endswith("Count to ten.")


@virtual
async def test_words_that_mean_something_end_the_line_and_answer_the_next_question() -> None:
    flow_, results = speaks(lambda call: call.say(TEXT), menu)
    story = Story(flow_)
    story.provider.plans.append(AT_ONCE)
    story.start()
    await cut_after(story, 2.0, "what about my bill")
    await story.ends()
    said, chosen = results
    assert said.interrupted
    assert said.by is InterruptedBy.CALLER
    assert chosen == "billing"
    assert not resumptions(story)


@virtual
async def test_what_meant_nothing_is_no_answer_to_the_next_question() -> None:
    flow_, results = speaks(lambda call: call.say(TEXT), lambda call: call.confirm("Ask: is that all?"))
    story = Story(flow_)
    story.provider.plans.append(AT_ONCE)
    story.start()
    await cut_after(story, 2.0, "yes")
    await story.creates(3)
    await story.agent_speaks()
    await story.agent_silent()
    await story.caller_says("no")
    await story.ends()
    assert results[0].completed
    assert results[1] is False


@virtual
async def test_a_line_is_spoken_on_twice_at_most() -> None:
    flow_, results = speaks(lambda call: call.say(TEXT))
    story = Story(flow_)
    story.provider.default = AT_ONCE
    story.start()
    for _ in range(RESUMPTIONS + 1):
        await cut_after(story, 1.5, "")
    await story.ends()
    assert results[0].interrupted
    assert len(story.provider.creates()) == RESUMPTIONS + 1
    assert [entry["time"] for entry in resumptions(story)] == [1, 2]


@pytest.mark.parametrize("by_flow", [True, False])
def test_a_flow_or_a_line_may_turn_it_off(by_flow: bool) -> None:
    async def tale() -> tuple[Story, Results]:
        line: dict[str, Any] = {} if by_flow else {"resume": False}
        flow_, results = speaks(lambda call: call.say(TEXT, **line), **({"resume": False} if by_flow else {}))
        story = Story(flow_)
        story.provider.plans.append(AT_ONCE)
        story.start()
        await story.agent_speaks()
        await asyncio.sleep(1.0)
        await story.caller_begins()
        await eventually(lambda: bool(results), within_s=0.1)
        await story.caller_stops("")
        await story.ends()
        return story, results

    story, results = virtual_run(tale())
    assert results[0].interrupted
    assert len(story.provider.creates()) == 1


@virtual
async def test_a_key_is_never_a_false_alarm() -> None:
    flow_, results = speaks(lambda call: call.say(TEXT), menu)
    story = Story(flow_)
    story.provider.plans.append(AT_ONCE)
    story.start()
    await story.agent_speaks()
    await asyncio.sleep(2.0)
    story.leg.press("2")
    await story.ends()
    assert results[0].interrupted
    assert results[1] == "hours"
    assert not resumptions(story)


@virtual
async def test_a_key_after_the_cough_counts_as_well() -> None:
    flow_, results = speaks(lambda call: call.say(TEXT), menu)
    story = Story(flow_)
    story.provider.plans.append(AT_ONCE)
    story.start()
    await story.agent_speaks()
    await asyncio.sleep(2.0)
    await story.caller_begins()
    story.leg.press("2")
    await story.caller_stops("")
    await story.ends()
    assert results[0].interrupted
    assert results[1] == "hours"


@virtual
async def test_nothing_starts_while_the_caller_still_speaks() -> None:
    flow_, results = speaks(lambda call: call.say(TEXT), menu)
    story = Story(flow_)
    story.provider.plans.append(AT_ONCE)
    story.start()
    await cut_after(story, 2.0, "")
    await story.caller_begins()
    await asyncio.sleep(3.0)
    creates = len(story.provider.creates())
    heard = len(story.leg.played)
    await asyncio.sleep(2.0)
    assert len(story.leg.played) == heard
    assert len(story.provider.creates()) == creates
    await story.caller_stops("my bill, please")
    await story.ends()
    assert results[0].interrupted
    assert results[1] == "billing"


@pytest.mark.parametrize(("sound_s", "goes_on"), [(0.5, True), (4.0, False), (30.0, False)])
def test_a_sound_without_a_transcript_is_a_cough_only_if_it_was_short(sound_s: float, goes_on: bool) -> None:
    async def tale() -> Outcome:
        flow_, results = speaks(lambda call: call.say(TEXT))
        story = Story(flow_)
        story.provider.plans.append(AT_ONCE)
        story.start()
        await story.agent_speaks()
        await asyncio.sleep(2.0)
        await story.caller_begins()
        await asyncio.sleep(sound_s)
        story.provider.emit("input_audio_buffer.speech_stopped", audio_end_ms=1000, item_id="turn_1")
        story.provider.emit("input_audio_buffer.committed", item_id="turn_1", previous_item_id=None)
        await story.ends()
        return results[0]

    assert virtual_run(tale()).completed is goes_on


@virtual
async def test_an_operator_who_stops_the_voice_means_it() -> None:
    flow_, results = speaks(lambda call: call.say(TEXT))
    story = Story(flow_)
    story.provider.plans.append(AT_ONCE)
    story.start()
    await story.agent_speaks()
    await asyncio.sleep(1.0)
    await story.call.stop_voice()
    await story.ends()
    assert results[0].by is InterruptedBy.OPERATOR
    assert len(story.provider.creates()) == 1


@virtual
async def test_a_call_that_ends_meanwhile_ends() -> None:
    flow_, _ = speaks(lambda call: call.say(TEXT))
    story = Story(flow_)
    story.provider.plans.append(AT_ONCE)
    story.start()
    await story.agent_speaks()
    await asyncio.sleep(1.0)
    await story.caller_begins()
    story.leg.caller_hangs_up()
    outcome = await story.ends()
    assert outcome.reason == "caller_hung_up"


@pytest.mark.parametrize("sound", ["", "mhm"])
def test_a_cough_over_a_question_costs_no_attempt(sound: str) -> None:
    async def tale() -> tuple[Story, Results]:
        flow_, results = speaks(
            lambda call: call.choose("Offer billing or hours.", attempts=1, billing="1", hours="2")
        )
        story = Story(flow_)
        story.provider.plans.append(AT_ONCE)
        story.start()
        await cut_after(story, 3.0, sound)
        await story.creates(2)
        await story.agent_speaks()
        await story.agent_silent()
        await story.caller_says("billing")
        await story.ends()
        return story, results

    story, results = virtual_run(tale())
    assert results == ["billing"]
    assert told(story)[1].endswith(f'"{TEXT[len(resumptions(story)[0]["heard_text"]) + 1 :]}"')


@virtual
async def test_a_listeners_word_is_no_free_answer_but_a_yes_is_a_yes() -> None:
    flow_, results = speaks(
        lambda call: call.collect("Ask for the name."),
        lambda call: call.confirm("Ask: right?"),
    )
    story = Story(flow_)
    story.provider.default = AT_ONCE
    story.start()
    await cut_after(story, 3.0, "mhm")
    await story.creates(2)
    await story.agent_speaks()
    await story.agent_silent()
    await story.caller_says("Ann Miller")
    await story.creates(3)
    await cut_after(story, 3.0, "yeah")
    await story.ends()
    assert results == ["Ann Miller", True]
    assert len(resumptions(story)) == 1


@virtual
async def test_a_question_whose_prompt_was_cut_without_a_transcript_goes_on() -> None:
    flow_, results = speaks(menu)
    story = Story(flow_)
    story.provider.plans.append(AT_ONCE)
    story.start()
    await story.agent_speaks()
    await asyncio.sleep(2.0)
    await story.caller_begins()
    story.provider.emit("input_audio_buffer.speech_stopped", audio_end_ms=1000, item_id="turn_1")
    story.provider.emit("input_audio_buffer.committed", item_id="turn_1", previous_item_id=None)
    await story.creates(2)
    assert len(resumptions(story)) == 1
    await story.agent_speaks()
    story.leg.press("1")
    await story.ends()
    assert results == ["billing"]


@virtual
async def test_keys_over_a_question_are_not_spoken_over() -> None:
    flow_, results = speaks(lambda call: call.choose("Offer.", attempts=1, billing="1"))
    story = Story(flow_)
    story.provider.plans.append(AT_ONCE)
    story.start()
    await story.agent_speaks()
    await asyncio.sleep(1.0)
    story.leg.press("9")
    await story.ends()
    assert results == [None]
    assert not resumptions(story)


@virtual
async def test_it_works_where_the_provider_plays() -> None:
    flow_, results = speaks(lambda call: call.say(TEXT))
    story = HostedStory(flow_)
    story.provider.plans.append(Reply(text=TEXT, audio_ms=5000, gap_s=0.0))
    story.provider.plans.append(Reply(text="the rest", audio_ms=1500, gap_s=0.0))
    story.start()
    await cut_after(story, 2.0, "")
    await story.ends()
    assert results[0].completed
    heard = resumptions(story)[0]["heard_text"]
    assert heard
    assert TEXT.startswith(heard)
    assert told(story)[1].endswith(f'"{TEXT[len(heard) + 1 :]}"')
