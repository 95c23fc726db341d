"""The provider is away for long, or for ever, or must be replaced: comfort, the last means, the hand-over."""

from __future__ import annotations

import asyncio

import pytest

from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.survival import Ear, entries, now, replayed, shown, whole
from tests.kit.virtual_loop import eventually, virtual
from voiceagent.call.comfort import comfort_sound
from voiceagent.call.config import CallConfig, SurvivalConfig
from voiceagent.call.leg import TransferResult
from voiceagent.errors import ProviderError
from voiceagent.ivr import Call, Outcome, flow, option
from voiceagent.media.levels import g711_dbfs


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


async def after_words(story: Story, count: int) -> None:
    """Wait until so many lines have been heard to their end."""
    await eventually(lambda: len(outcomes) >= count, within_s=60)


@flow("listener", instructions="Be brief.")
async def listener(call: Call) -> None:
    await call.respond("Greet the caller.")
    await call.choose("Offer billing or a person.", billing=option("1", "my bill"), person="0")
    outcomes.append(await call.respond("Goodbye."))


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
    story.call.ending.recover("frozen")
    story.call.ending.recover("frozen")
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
