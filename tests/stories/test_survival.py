"""The provider is lost at every point of a call: the call goes on, the new session knows what was said."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import eventually, settle, virtual
from voiceagent.call.call import Call as RunningCall
from voiceagent.call.comfort import COMFORT, comfort_sound
from voiceagent.call.config import CallConfig, SurvivalConfig
from voiceagent.call.leg import TransferResult
from voiceagent.errors import ProviderError
from voiceagent.ivr import Call, Outcome, flow, option, tool
from voiceagent.media.levels import g711_dbfs
from voiceagent.realtime.sequencer_io import Settled, Submitted


def now() -> float:
    return asyncio.get_running_loop().time()


def entries(story: Story, kind: str) -> list[Mapping[str, Any]]:
    return [entry for entry in story.entries if entry["type"] == kind]


def replayed(story: Story) -> list[dict[str, Any]]:
    """The items that the newest session was given, from its first update on."""
    received = story.provider.received
    starts = [index for index, event in enumerate(received) if event["type"] == "session.update"]
    last_set_up = max(
        index for index in starts if "format" in received[index]["session"].get("audio", {}).get("input", {})
    )
    return [event["item"] for event in received[last_set_up:] if event["type"] == "conversation.item.create"]


def shown(items: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Role and text, or kind and payload, of each item."""
    result: list[tuple[str, str]] = []
    for item in items:
        if item["type"] == "message":
            result.append((item["role"], item["content"][0]["text"]))
        elif item["type"] == "function_call":
            result.append(("call", f"{item['name']}{item['arguments']}"))
        else:
            result.append(("output", item["output"]))
    return result


def whole(story: Story) -> None:
    """Every accepted request has one outcome in ledger and journal; the sequencers' requests, too."""
    ledger = {entry.request.id: entry.outcome for entry in story.call.ledger}
    assert None not in ledger.values()
    told = [entry["request_id"] for entry in entries(story, "response.ended")]
    assert sorted(told) == sorted(ledger)
    steps = [entry["body"] for entry in entries(story, "sequencer")]
    submitted = [step.request.id for step in steps if isinstance(step, Submitted)]
    settled = [step.request_id for step in steps if isinstance(step, Settled)]
    assert len(submitted) == len(set(submitted)), "an id goes to one sequencer only, once"
    assert sorted(settled) == sorted(submitted)
    assert story.entries[-1]["type"] == "call.ended"
    assert "apology" not in {entry["type"] for entry in story.entries}


class Ear:
    """Notes when the line carries agent, comfort, or nothing, by the sound of the frames."""

    def __init__(self, story: Story) -> None:
        self.comfort_from: list[float] = []
        self.agent_from: list[float] = []
        self.agent_until = 0.0
        started = RunningCall.leg_playback_started
        ended = RunningCall.leg_playback_ended

        def on_started(response_id: str, item_id: str) -> None:
            if response_id == COMFORT:
                self.comfort_from.append(now())
            elif not response_id.startswith("local-"):
                self.agent_from.append(now())
            started(story.call, response_id, item_id)

        def on_ended(heard: Any) -> None:
            if not heard.response_id.startswith("local-"):
                self.agent_until = now()
            ended(story.call, heard)

        story.call.leg_playback_started = on_started  # type: ignore[method-assign]
        story.call.leg_playback_ended = on_ended  # type: ignore[method-assign]


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


# ── comfort ─────────────────────────────────────────────────────────────────────────────────────
@virtual
async def test_comfort_begins_within_a_second_and_ends_with_the_first_word() -> None:
    story = Story(host)
    story.provider.plans.append(Reply(audio_ms=3000, gap_s=0.2))
    story.start()
    ear = Ear(story)
    frames: list[tuple[float, bytes | None]] = []
    story.leg.on_frame = lambda frame: frames.append((now(), frame))
    await story.agent_speaks()
    await asyncio.sleep(2)
    story.refuse = ProviderError("busy", code="http_503")
    story.provider.drop(1006, "gone")
    await asyncio.sleep(5)
    story.refuse = None
    dry = ear.agent_until
    await eventually(lambda: len(ear.agent_from) >= 2)
    back = ear.agent_from[1]
    await story.ends()

    assert back - dry > 4
    assert 0 <= ear.comfort_from[0] - dry <= 1.0
    silent = [at for at, frame in frames if dry <= at <= back and (not frame or g711_dbfs(frame) < -50)]
    assert len(silent) * 0.02 <= 1.0, "a sound all the time, but for its first moment"
    tail = [at for at, frame in frames if frame and at > back and frame[:1] not in (b"\x5a", b"\xff")]
    assert not tail, "and none of it under the voice"
    whole(story)


def test_the_comfort_sound_is_heard_but_soft() -> None:
    for audio_format in ("audio/pcmu", "audio/pcma"):
        sound = comfort_sound(audio_format)
        law = "alaw" if audio_format == "audio/pcma" else "ulaw"
        levels = [g711_dbfs(sound[at : at + 160], law) for at in range(0, len(sound), 160)]
        assert min(levels) > -45
        assert max(levels) < -20


@virtual
async def test_between_turns_nobody_hears_that_the_link_was_lost() -> None:
    story = Story(listener)
    story.start()
    await eventually(lambda: len(story.provider.creates()) == 2, within_s=30)
    await story.agent_silent()
    ear = Ear(story)
    story.provider.drop(1006, "gone")
    await asyncio.sleep(2)

    assert not ear.comfort_from
    await story.caller_says("my bill")
    await story.ends()
    assert shown(replayed(story))[0][0] == "assistant"
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


# ── when it does not come back ──────────────────────────────────────────────────────────────────
@virtual
async def test_ten_seconds_then_apology_then_a_person() -> None:
    story = Story(host, config=CallConfig(survival=SurvivalConfig(transfer_to="sip:desk@example.com")))
    story.provider.default = Reply(first_after_s=5)
    story.start()
    await eventually(lambda: story.provider.creates())
    lost_at = now()
    story.provider_gone()
    await eventually(lambda: entries(story, "apology"), within_s=30)
    assert 9.5 <= now() - lost_at <= 10.1
    outcome = await story.ends()

    assert (outcome.kind.value, outcome.reason) == ("success", "transferred")
    assert "transfer sip:desk@example.com" in story.leg.log
    tries = entries(story, "recovery.attempt")
    assert tries[0]["seconds"] == 0
    assert len(tries) >= 5
    assert entries(story, "recovery.failed")[0]["code"] == "unreachable"


@virtual
async def test_a_person_who_is_busy_leaves_the_goodbye() -> None:
    story = Story(host, config=CallConfig(survival=SurvivalConfig(transfer_to="sip:desk@example.com")))
    story.leg.transfer_result = TransferResult(False, 486, "Busy Here")
    story.start()
    await eventually(lambda: story.provider.creates())
    story.provider_gone()
    outcome = await story.ends()

    assert (outcome.kind.value, outcome.reason) == ("provider", "provider_lost")
    assert story.leg.log[-1].startswith("hang_up")
    assert all(entry.outcome is not None for entry in story.call.ledger)


@virtual
async def test_the_second_provider_takes_over_with_the_whole_conversation() -> None:
    story = Story(host, second=True)
    story.start()
    await after_words(story, 1)
    story.provider_gone()
    await story.ends()

    assert [one.kind.value for one in outcomes] == ["completed"] * 3
    assert story.second is not None
    items = [e["item"] for e in story.second.received if e["type"] == "conversation.item.create"]
    assert shown(items)[0] == ("assistant", outcomes[0].text)
    assert entries(story, "recovery.restored")[0]["provider"] == "second"
    whole(story)


@virtual
async def test_a_key_that_is_refused_is_not_tried_for_ten_seconds() -> None:
    story = Story(host)
    story.start()
    await eventually(lambda: story.provider.creates())
    story.refuse = ProviderError("wrong key", code="http_401")
    story.provider.drop(1006, "gone")
    lost_at = now()
    await eventually(lambda: entries(story, "apology"))
    assert now() - lost_at < 1
    await story.ends()


@virtual
async def test_a_frozen_link_that_is_given_up_is_replaced() -> None:
    story = Story(host)
    story.start()
    await after_words(story, 1)
    hears = story.provider.take
    story.provider.take = lambda text: None  # type: ignore[method-assign]
    await asyncio.sleep(0.1)
    story.provider.take = hears  # type: ignore[method-assign]
    story.call.recover("frozen")
    story.call.recover("frozen")
    await story.ends()

    assert story.provider.connections == 2
    assert len(entries(story, "provider.lost")) == 1
    assert [one.kind.value for one in outcomes] == ["completed"] * 3
    whole(story)


@virtual
async def test_a_caller_who_hangs_up_meanwhile_ends_it_all() -> None:
    story = Story(host)
    story.start()
    await eventually(lambda: story.provider.creates())
    story.provider_gone()
    await asyncio.sleep(3)
    story.leg.caller_hangs_up()
    left = now()
    outcome = await story.ends()

    assert outcome.reason == "caller_hung_up"
    assert now() - left < 1
    whole(story)


# ── the planned hand-over ───────────────────────────────────────────────────────────────────────
@virtual
async def test_before_it_grows_too_old_a_session_is_replaced_between_turns() -> None:
    @flow("long")
    async def long(call: Call) -> None:
        for _ in range(40):
            outcomes.append(await call.respond("Go on."))
            await asyncio.sleep(30)

    story = Story(long, wall=lambda: now())
    story.provider.expires_at = now() + 600
    story.start()
    ear = Ear(story)
    await eventually(lambda: entries(story, "handover.done"), within_s=900, step_s=1)
    share = (now() - 1000) / 600
    assert 0.74 < share < 0.95
    done = entries(story, "handover.done")[0]
    assert done["items"] == len(outcomes)
    await story.ends(3000)

    assert story.provider.connections >= 2
    assert {one.kind.value for one in outcomes} == {"completed"}
    assert len(outcomes) == 40
    assert not ear.comfort_from
    assert not entries(story, "provider.lost")
    whole(story)


@virtual
async def test_a_hand_over_waits_for_the_end_of_the_turn() -> None:
    story = Story(host)
    story.provider.plans.append(Reply(audio_ms=8000, gap_s=0.01))
    story.start()
    await story.agent_speaks()
    assert story.call.recovery is not None
    story.call.recovery.planned()
    await asyncio.sleep(5)
    assert story.provider.connections == 1
    await story.ends()
    assert [one.kind.value for one in outcomes] == ["completed"] * 3
    whole(story)
