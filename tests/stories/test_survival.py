"""The provider is lost at every point of a call: the call goes on, the new session knows what was said."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.survival import Ear, entries, now, replayed, shown, whole
from tests.kit.virtual_loop import eventually, settle, virtual
from voiceagent.call.config import CallConfig, SurvivalConfig
from voiceagent.errors import ProviderError
from voiceagent.ivr import Call, Outcome, flow, option, tool


async def says(call: Call, line: str) -> None:
    outcomes.append(await call.respond(line))


@flow("host", instructions="Be brief.")
async def host(call: Call) -> None:
    for line in ("One.", "Two.", "Three."):
        await says(call, line)


outcomes: list[Outcome] = []


@pytest.fixture(autouse=True)
def fresh() -> None:
    outcomes.clear()
    runs.clear()


async def after_words(story: Story, count: int) -> None:
    """Wait until so many lines have been heard to their end."""
    await eventually(lambda: len(outcomes) >= count, within_s=60)


# ── where the link may die ──────────────────────────────────────────────────────────────────────
@virtual
async def test_before_the_session_is_created() -> None:
    story = Story(host)
    drops = 1

    def connected(deliver: Any, drop: Any, original: Any = story.provider.connected) -> None:
        nonlocal drops
        original(deliver, drop)
        if drops:
            drops -= 1
            story.provider.drop(1006, "not today")

    story.provider.connected = connected  # type: ignore[method-assign]
    story.start()
    outcome = await story.ends()

    assert outcome.reason == "completed"
    assert story.provider.connections == 2
    assert [one.kind.value for one in outcomes] == ["completed"] * 3
    whole(story)


@virtual
async def test_after_the_session_is_created_and_before_anything_is_said() -> None:
    story = Story(host)
    story.start()
    await eventually(lambda: story.provider.creates())
    story.provider.drop(1011, "sorry")
    await story.ends()

    assert [one.kind.value for one in outcomes] == ["completed"] * 3
    assert len(story.provider.creates()) == 4, "the create that got lost went out once more"
    assert entries(story, "recovery.restored")[0]["seconds"] <= 3.0
    whole(story)


@virtual
async def test_in_mid_audio_what_came_plays_out_and_is_never_said_again() -> None:
    story = Story(host)
    text = "one two three four five six seven eight nine ten"
    story.provider.plans.extend([Reply(audio_ms=400), Reply(text=text, audio_ms=10_000, gap_s=0.2)])
    story.start()
    await after_words(story, 1)
    ear = Ear(story)
    await story.agent_speaks()
    await asyncio.sleep(3)
    story.provider.drop(1006, "gone")
    await story.ends()

    first, cut, third = outcomes
    assert (first.kind.value, third.kind.value) == ("completed", "completed")
    assert cut.kind.value == "lost"
    assert cut.code == "link_lost"
    assert 2500 <= cut.heard_ms <= 4000
    assert cut.heard_text
    assert text.startswith(cut.heard_text)
    assert cut.heard_text != text
    assert shown(replayed(story)) == [("assistant", first.text), ("assistant", cut.heard_text)]
    assert len(story.provider.creates()) == 3
    assert ear.agent_from
    whole(story)


@virtual
async def test_a_line_that_has_barely_begun_is_said_from_its_beginning() -> None:
    story = Story(host)
    story.provider.plans.append(Reply(audio_ms=5000, gap_s=0.2))
    story.start()
    await story.agent_speaks()
    story.provider.drop(1006, "gone")
    await story.ends()

    assert [one.kind.value for one in outcomes] == ["completed"] * 3
    assert len(story.provider.creates()) == 4
    assert shown(replayed(story)) == []
    whole(story)


@virtual
async def test_after_done_while_it_plays_it_is_completed_by_the_ear() -> None:
    story = Story(host)
    story.provider.plans.append(Reply(text="A long and whole line.", audio_ms=6000, gap_s=0.001))
    story.start()
    await story.agent_speaks()
    await asyncio.sleep(1)
    story.provider.drop(1006, "gone")
    lost_at = now()
    await after_words(story, 1)

    assert now() - lost_at > 4
    assert (outcomes[0].kind.value, outcomes[0].heard_ms) == ("completed", 6000)
    await story.ends()
    assert shown(replayed(story)) == [("assistant", "A long and whole line.")]
    assert len(story.provider.creates()) == 3
    whole(story)


@virtual
async def test_barge_in_on_words_of_the_lost_link_stops_them_and_corrects_the_memory() -> None:
    story = Story(host)
    text = "one two three four five six seven eight nine ten"
    story.provider.plans.append(Reply(text=text, audio_ms=10_000, gap_s=0.001))
    story.start()
    await story.agent_speaks()
    await asyncio.sleep(1)
    story.provider.drop(1006, "gone")
    await asyncio.sleep(1)
    assert shown(replayed(story)) == [("assistant", text)]
    await story.caller_says("stop")
    await after_words(story, 1)

    cut = outcomes[0]
    assert cut.kind.value == "interrupted"
    assert 1500 < cut.heard_ms < 3000
    assert story.call.barge_ins == 1
    assert shown(replayed(story))[-1] == ("assistant", cut.heard_text)
    assert "conversation.item.delete" in story.provider.types()
    await story.ends()
    whole(story)


# ── tools ───────────────────────────────────────────────────────────────────────────────────────
runs: list[str] = []


@tool
async def lookup(account: str) -> str:
    """Look something up; takes two seconds."""
    runs.append(account)
    await asyncio.sleep(2)
    return f"42 for {account}"


@flow("teller", instructions="Be brief.")
async def teller(call: Call) -> None:
    outcomes.append(await call.respond("Look up 4711.", tools=[lookup]))
    outcomes.append(await call.respond("Goodbye."))


CALL = ("c1", "lookup", '{"account": "4711"}')


@pytest.mark.parametrize("away_s", [0.0, 5.0])
def test_during_a_tool_it_keeps_running_and_answers_to_the_new_session(away_s: float) -> None:
    @virtual
    async def tell() -> None:
        story = Story(teller)
        story.provider.plans.append(Reply(audio_ms=0, calls=[CALL]))
        story.provider.plans.append(Reply(text="It is 42.", audio_ms=800))
        story.start()
        await eventually(lambda: runs)
        await asyncio.sleep(0.5)
        if away_s:
            story.refuse = ProviderError("busy", code="http_503")
        story.provider.drop(1006, "gone")
        await asyncio.sleep(away_s)
        story.refuse = None
        await story.ends()

        assert runs == ["4711"]
        assert outcomes[0].heard_text == "It is 42."
        expected = [("call", f"lookup{CALL[2]}"), ("output", "42 for 4711")]
        assert shown(replayed(story)) == expected, "restored with it, or sent when it was ready"
        assert len(story.provider.creates()) == 3
        whole(story)

    tell()


@virtual
async def test_a_tool_call_whose_response_never_ended_is_not_made_again() -> None:
    story = Story(teller)
    story.provider.plans.append(Reply(audio_ms=0, calls=[CALL], hang=True))
    story.provider.plans.append(Reply(text="It is 42.", audio_ms=800))
    story.start()
    await eventually(lambda: runs)
    story.provider.drop(1006, "gone")
    await story.ends()

    assert runs == ["4711"]
    assert outcomes[0].heard_text == "It is 42."
    assert len(story.provider.creates()) == 3
    whole(story)


@virtual
async def test_two_tools_one_answered_on_each_link_give_one_follow_up() -> None:
    @tool
    async def quick(account: str) -> str:
        """Answer at once."""
        runs.append(account)
        return "quick"

    @flow("both")
    async def both(call: Call) -> None:
        outcomes.append(await call.respond("Look up both.", tools=[lookup, quick]))

    story = Story(both)
    story.provider.plans.append(Reply(audio_ms=0, calls=[CALL, ("c2", "quick", '{"account": "1"}')]))
    story.provider.plans.append(Reply(text="Both.", audio_ms=800))
    story.start()
    await eventually(lambda: len(runs) == 2)
    await asyncio.sleep(0.5)
    story.provider.drop(1006, "gone")
    await story.ends()

    assert sorted(runs) == ["1", "4711"]
    assert [one.heard_text for one in outcomes] == ["Both."]
    assert len(story.provider.creates()) == 2
    assert sorted(kind for kind, _ in shown(replayed(story))) == ["call", "call", "output", "output"]
    whole(story)


@virtual
async def test_after_the_tool_was_answered_its_follow_up_is_asked_for_again() -> None:
    story = Story(teller)
    story.provider.plans.append(Reply(audio_ms=0, calls=[CALL]))
    story.provider.plans.append(Reply(text="It is 42.", audio_ms=800))
    story.provider.plans.append(Reply(text="It is 42.", audio_ms=800))
    story.start()
    await eventually(lambda: len(story.provider.creates()) == 2, within_s=30)
    story.provider.drop(1006, "gone")
    await story.ends()

    assert runs == ["4711"]
    assert outcomes[0].heard_text == "It is 42."
    whole(story)


# ── the caller ──────────────────────────────────────────────────────────────────────────────────
@flow("listener", instructions="Be brief.")
async def listener(call: Call) -> None:
    await call.respond("Greet the caller.")
    await call.choose("Offer billing or a person.", billing=option("1", "my bill"), person="0")
    outcomes.append(await call.respond("Goodbye."))


VOICE = b"\x20" * 160
"""20 ms of something loud."""


async def talks(story: Story, seconds: float) -> None:
    """The caller's frames come in."""
    for _ in range(round(seconds * 50)):
        story.leg.listener.leg_audio(VOICE)
        await asyncio.sleep(0.02)


@virtual
async def test_while_the_caller_speaks_what_nobody_understood_is_sent_again() -> None:
    story = Story(listener)
    story.start()
    await eventually(lambda: len(story.provider.creates()) == 2, within_s=30)
    await story.agent_silent()
    await story.caller_begins()
    await talks(story, 2)
    sent_before = sum(story.provider.appends)
    story.refuse = ProviderError("busy", code="http_503")
    story.provider.drop(1006, "gone")
    ear = Ear(story)
    await talks(story, 2)
    story.refuse = None
    await eventually(lambda: entries(story, "recovery.restored"))
    restored = entries(story, "recovery.restored")[0]
    await settle()
    await asyncio.sleep(0.1)

    assert 4000 <= restored["caller_audio_ms"] <= 6000
    assert sum(story.provider.appends) - sent_before >= 4000 * 8, "the link before it heard half of it"
    assert not ear.comfort_from, "no sound over the caller"
    await story.caller_begins()
    await story.caller_stops("my bill")
    await story.ends()
    assert [one.kind.value for one in outcomes] == ["completed"]
    whole(story)


@virtual
async def test_what_was_understood_is_not_sent_again_but_told_as_text() -> None:
    story = Story(listener)
    story.start()
    await eventually(lambda: len(story.provider.creates()) == 2, within_s=30)
    await story.agent_silent()
    await story.caller_begins()
    await talks(story, 3)
    await story.caller_stops("my bill")
    await story.agent_speaks()
    story.provider.drop(1006, "gone")
    await story.ends()

    assert ("user", "my bill") in shown(replayed(story))
    assert entries(story, "recovery.restored")[0]["caller_audio_ms"] < 1000
    whole(story)


@virtual
async def test_never_more_than_ten_seconds_of_the_caller_are_kept() -> None:
    story = Story(listener, config=CallConfig(survival=SurvivalConfig(caller_audio_s=10)))
    story.start()
    await eventually(lambda: len(story.provider.creates()) == 2, within_s=30)
    await story.agent_silent()
    await story.caller_begins()
    await talks(story, 25)
    story.provider.drop(1006, "gone")
    await eventually(lambda: entries(story, "recovery.restored"))

    assert 9900 <= entries(story, "recovery.restored")[0]["caller_audio_ms"] <= 10_000
    story.leg.caller_hangs_up()
    await story.ends()


# ── the queue ───────────────────────────────────────────────────────────────────────────────────
@virtual
async def test_what_waits_in_the_queue_is_said_in_order_and_once() -> None:
    story = Story(host)
    story.provider.plans.append(Reply(audio_ms=6000, gap_s=0.05))
    story.start()
    await story.agent_speaks()
    await asyncio.sleep(1.5)
    for name in ("a", "b"):
        story.call.trigger(f"Operator's {name}.", {}, request_id=name)
    await settle()
    story.provider.drop(1006, "gone")
    during = story.call.trigger("While it is away.", {}, request_id="c")
    await story.ends()

    lines = [event["response"]["instructions"].split("\n")[-1] for event in story.provider.creates()]
    assert sorted(lines) == sorted(
        ["One.", "Operator's a.", "Operator's b.", "While it is away.", "Two.", "Three."]
    )
    assert lines.index("Operator's a.") < lines.index("Operator's b.") < lines.index("While it is away.")
    assert during.outcome is not None
    assert during.outcome.kind.value == "completed", during.outcome
    whole(story)


@virtual
async def test_a_request_may_be_withdrawn_while_nobody_is_there() -> None:
    story = Story(host)
    story.start()
    await eventually(lambda: story.provider.creates())
    story.refuse = ProviderError("busy", code="http_503")
    story.provider.drop(1006, "gone")
    await asyncio.sleep(0.1)
    entry = story.call.trigger("Never mind.", {}, request_id="op")
    story.call.withdraw("op")
    await settle()
    assert entry.outcome is not None
    assert entry.outcome.kind.value == "withdrawn"
    story.refuse = None
    await story.ends()
    assert not any("Never mind" in str(event) for event in story.provider.creates())
    whole(story)


@virtual
async def test_what_was_sent_over_two_links_in_vain_is_not_sent_over_a_third() -> None:
    story = Story(host)
    story.provider.default = Reply(first_after_s=5)
    story.start()
    for count in (1, 2):
        await eventually(lambda count=count: len(story.provider.creates()) == count)
        story.provider.default = Reply() if count == 2 else story.provider.default
        story.provider.drop(1006, "gone")
    await story.ends()

    assert [one.kind.value for one in outcomes] == ["lost", "completed", "completed"]
    assert len(story.provider.creates()) == 4
    whole(story)


# ── settings of the session ─────────────────────────────────────────────────────────────────────
@virtual
async def test_the_new_session_has_the_prompt_the_hint_and_the_hold() -> None:
    @flow("hinting", instructions="Be brief.")
    async def hinting(call: Call) -> None:
        await call._port.expect("digits")
        await asyncio.sleep(5)
        outcomes.append(await call.respond("Goodbye."))

    story = Story(hinting)
    story.start()
    await asyncio.sleep(1)
    story.leg.listener.leg_held(True)
    story.provider.drop(1006, "gone")
    await asyncio.sleep(1)

    assert story.provider.session["instructions"] == "Be brief."
    assert story.provider.session["audio"]["input"]["transcription"]["prompt"] == "digits"
    await asyncio.sleep(6)
    assert not story.provider.creates(), "on hold nothing is said"
    story.leg.listener.leg_held(False)
    await story.ends()
    assert [one.kind.value for one in outcomes] == ["completed"]
