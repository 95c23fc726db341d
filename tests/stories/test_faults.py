"""A provider that fails in one way or another: what the caller hears meanwhile, measured 20 ms by 20 ms."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.kit.energy import EnergyMeter
from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import eventually, virtual, virtual_run
from voiceagent.ivr import Call, flow, tool
from voiceagent.realtime.requests import OutcomeKind

HEALTHY_S = 1.5
SINGLE_S = 3.0
DOUBLE_S = 10.0


@flow("talker", instructions="Be brief.")
async def talker(call: Call) -> None:
    for guidance in ("Greet the caller.", "Go on.", "And on.", "Come to the end."):
        await call.respond(guidance)


@dataclass
class Heard:
    """What came of a story."""

    story: Story
    gap_s: float
    seconds: float

    def lines(self) -> list[str]:
        return [entry["line"] for entry in self.story.entries if entry["type"] == "line.played"]

    def notices(self) -> list[str]:
        return [entry["code"] for entry in self.story.entries if entry["type"] == "notice"]

    def types(self) -> set[str]:
        return {entry["type"] for entry in self.story.entries}


def freeze(story: Story) -> None:
    """The present socket stays open and carries nothing any more; a new one works."""
    provider = story.provider
    take, connected = provider.take, provider.connected
    provider._deliver = lambda text: None
    provider.take = lambda text: None  # type: ignore[method-assign]

    def thawed(deliver: Callable[[str], None], drop: Callable[[int, str], None]) -> None:
        provider.take, provider.connected = take, connected  # type: ignore[method-assign]
        connected(deliver, drop)

    provider.connected = thawed  # type: ignore[method-assign]


async def played(story: Story, *, after: Callable[[], object] | None = None, limit_s: float = 120) -> Heard:
    """Play the story to its end; ``after`` the agent is first heard, do that."""
    meter = EnergyMeter(story)
    began = asyncio.get_running_loop().time()
    story.start()
    if after is not None:
        await story.agent_speaks()
        after()
    await story.ends(limit_s)
    seconds = asyncio.get_running_loop().time() - began
    own = story.entries[-1]["longest_gap_s"]
    assert story.entries[-1]["type"] == "call.ended"
    assert own == pytest.approx(meter.longest_s, abs=0.1), "the record and the line disagree"
    return Heard(story, meter.longest_s, seconds)


@virtual
async def test_a_healthy_call_has_no_dead_air() -> None:
    heard = await played(Story(talker))
    assert heard.gap_s <= 0.5
    assert heard.lines() == heard.notices() == []
    assert heard.story.kinds() == ["completed"] * 4


@pytest.mark.parametrize(
    ("late_s", "lines"),
    [
        (1.0, []),
        (1.6, ["moment"]),
        (3.0, ["moment"]),
        (5.0, ["moment", "patience"]),
        (9.0, ["moment", "patience"]),
    ],
)
def test_slow_first_audio_is_bridged(late_s: float, lines: list[str]) -> None:
    async def story() -> Heard:
        one = Story(talker)
        one.provider.plans.extend([Reply(), Reply(first_after_s=late_s, audio_ms=1000), Reply()])
        return await played(one)

    heard = virtual_run(story())
    assert heard.lines() == lines
    assert heard.gap_s <= (HEALTHY_S if late_s < 3 else SINGLE_S)
    assert heard.story.kinds() == ["completed"] * 4
    slow = list(heard.story.call.ledger)[1].outcome
    assert slow is not None
    assert slow.heard_ms == 1000, "the line was no part of what was heard of the response"
    assert len(heard.story.provider.creates()) == 4


@virtual
async def test_a_line_of_our_own_is_cut_by_the_voice_and_never_by_itself_heard_with_it() -> None:
    story = Story(talker)
    story.provider.plans.extend([Reply(first_after_s=1.5, audio_ms=3000)])
    heard = await played(story)
    assert heard.lines() == ["moment"]
    # 0.3 s of the line, then the whole response: nothing of the one waits behind the other.
    sent = story.leg.played
    first_voice = sent.index(b"\x5a" * 160)
    assert 0 < first_voice < 0.4 * 8000


@virtual
async def test_a_caller_who_speaks_is_not_spoken_over() -> None:
    story = Story(talker)
    story.provider.plans.append(Reply(first_after_s=7))
    story.start()
    await eventually(lambda: story.leg.played)
    await story.caller_begins()
    quiet_from = len(story.leg.played)
    await asyncio.sleep(4)
    assert len(story.leg.played) - quiet_from <= 160
    await story.caller_stops("Hello?")
    story.leg.caller_hangs_up()
    await story.ends()


@virtual
async def test_nothing_is_bridged_on_hold() -> None:
    story = Story(talker)
    story.provider.plans.append(Reply(first_after_s=8))
    story.start()
    await eventually(lambda: story.provider.creates())
    story.leg.listener.leg_held(True)
    await asyncio.sleep(6)
    assert not story.leg.played
    story.leg.listener.leg_held(False)
    await story.agent_speaks()
    story.leg.caller_hangs_up()
    await story.ends()


@virtual
async def test_a_rate_limit_is_told_and_asked_again() -> None:
    story = Story(talker)
    story.provider.plans.append(Reply(audio_ms=0, status="failed", error_code="rate_limit_exceeded"))
    heard = await played(story)
    assert heard.lines() == ["moment"]
    assert heard.gap_s <= HEALTHY_S
    assert heard.story.kinds() == ["completed"] * 4


@virtual
async def test_a_code_that_nobody_knows_is_asked_again_once() -> None:
    story = Story(talker)
    story.provider.plans.append(Reply(audio_ms=0, status="failed", error_code="brand_new"))
    heard = await played(story)
    assert heard.gap_s <= HEALTHY_S
    assert heard.story.kinds() == ["completed"] * 4


@pytest.mark.parametrize("code", ["insufficient_quota", "invalid_api_key", "billing_hard_limit_reached"])
def test_a_dead_account_is_apologised_for_at_once(code: str) -> None:
    async def story() -> Heard:
        one = Story(talker)
        one.provider.plans.append(Reply(audio_ms=0, status="failed", error_code=code))
        return await played(one)

    heard = virtual_run(story())
    assert "apology" in heard.types()
    assert len(heard.story.provider.creates()) == 1, "asking again cannot help"
    assert heard.story.call.outcome is not None
    assert heard.story.call.outcome.kind.value == "provider"
    assert heard.gap_s <= HEALTHY_S


@virtual
async def test_a_slow_tool_is_bridged() -> None:
    @tool
    async def look_up(number: str) -> str:
        """Look something up."""
        await asyncio.sleep(3)
        return f"found {number}"

    @flow("caller of tools")
    async def desk(call: Call) -> None:
        await call.respond("Look it up.", tools=[look_up])

    story = Story(desk)
    story.provider.plans.extend(
        [Reply(audio_ms=0, calls=[("c1", "look_up", '{"number": "7"}')]), Reply(audio_ms=800)]
    )
    heard = await played(story)
    assert heard.lines() == ["moment"]
    assert heard.gap_s <= SINGLE_S
    assert heard.story.kinds() == ["completed"] * 2


# ── faults that cost the session ────────────────────────────────────────────────────────────────
def given_up(heard: Heard, reason: str) -> None:
    """The session was given up for that reason, once, and the caller had a sound or a word to go by."""
    assert heard.notices().count(f"provider_{reason}") == 1
    assert heard.gap_s <= SINGLE_S
    kinds = heard.story.kinds()
    assert "open" not in kinds
    outcome = heard.story.call.outcome
    assert outcome is not None
    assert outcome.reason == "completed", "the call went on"


def second_create(story: Story, event: Mapping[str, Any]) -> bool:
    return event["type"] == "response.create" and len(story.provider.creates()) == 2


@virtual
async def test_a_frozen_socket() -> None:
    story = Story(talker)
    story.provider.plans.extend([Reply(), Reply(first_after_s=5)])
    loop = asyncio.get_running_loop()
    story.provider.on_client_event = lambda event: (
        loop.call_later(0.05, freeze, story) if second_create(story, event) else None
    )
    heard = await played(story)
    given_up(heard, "frozen")
    assert "provider_suspect" in heard.notices()


@virtual
async def test_a_socket_that_takes_nothing_more() -> None:
    """The create itself is lost: the sequencer's probes tell, before the vigil has to."""
    story = Story(talker)
    story.provider.on_client_event = lambda event: freeze(story) if second_create(story, event) else None
    heard = await played(story)
    assert heard.gap_s <= SINGLE_S
    assert heard.story.call.outcome is not None
    assert heard.story.call.outcome.reason == "completed"
    assert "provider.lost" in heard.types()


@virtual
async def test_an_answer_that_never_comes() -> None:
    story = Story(talker)
    story.provider.plans.extend([Reply(first_after_s=40), Reply()])

    async def pings() -> None:
        while True:
            await asyncio.sleep(1)
            story.provider.emit("rate_limits.updated", rate_limits=[])

    chatter = asyncio.get_running_loop().create_task(pings(), name="pings")
    try:
        heard = await played(story)
    finally:
        chatter.cancel()
    given_up(heard, "slow")
    assert heard.lines()[:2] == ["moment", "patience"]


@virtual
async def test_a_voice_that_runs_dry() -> None:
    story = Story(talker)
    story.provider.plans.append(Reply(audio_ms=6000, gap_s=0.15))
    heard = await played(story, after=lambda: freeze(story))
    given_up(heard, "stalled")


@virtual
async def test_audio_without_a_voice() -> None:
    story = Story(talker)
    story.provider.plans.extend([Reply(), Reply(audio_ms=5000, sample=0xFF), Reply()])
    heard = await played(story)
    given_up(heard, "silent_audio")


@virtual
async def test_an_error_without_an_end() -> None:
    story = Story(talker)
    story.provider.plans.append(Reply(first_after_s=60))
    story.provider.on_client_event = lambda event: (
        story.provider.error("server_error", "Something went wrong.")
        if event["type"] == "response.create" and len(story.provider.creates()) == 1
        else None
    )
    heard = await played(story)
    given_up(heard, "frozen")


# ── two at once ─────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "second",
    [
        Reply(first_after_s=6),
        Reply(audio_ms=5000, sample=0xFF),
        Reply(audio_ms=0, status="failed", error_code="rate_limit_exceeded"),
        Reply(audio_ms=0, status="failed", error_code="server_error"),
    ],
    ids=["slow", "silent", "rate limit", "failed"],
)
@pytest.mark.parametrize("first", ["frozen", "lost"])
def test_two_faults_in_a_row(first: str, second: Reply) -> None:
    async def story() -> Heard:
        one = Story(talker)

        def fail() -> None:
            one.provider.plans.appendleft(second)
            if first == "frozen":
                freeze(one)
            else:
                one.provider.drop(1006)

        return await played(one, after=fail)

    heard = virtual_run(story())
    assert heard.gap_s <= DOUBLE_S
    assert all(entry.outcome is not None for entry in heard.story.call.ledger)
    ended = heard.story.call.outcome
    assert ended is not None
    assert ended.reason == "completed"
    last = list(heard.story.call.ledger)[-1].outcome
    assert last is not None
    assert last.kind is OutcomeKind.COMPLETED


# ── a provider that never gets better ───────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("always", "reason"),
    [
        (Reply(audio_ms=5000, sample=0xFF), "silent_audio"),
        (Reply(first_after_s=500), "frozen"),
        (Reply(audio_ms=0, status="failed", error_code="server_error"), "server_error"),
        (Reply(audio_ms=0, status="failed", error_code="content_filter"), "content_filter"),
    ],
    ids=["silent", "mute", "failing", "unwilling"],
)
def test_new_sessions_that_are_no_better_come_to_an_end(always: Reply, reason: str) -> None:
    async def story() -> Heard:
        one = Story(talker)
        one.provider.default = always
        return await played(one)

    heard = virtual_run(story())
    outcome = heard.story.call.outcome
    assert outcome is not None
    assert (outcome.kind.value, outcome.reason) == ("provider", reason)
    assert "apology" in heard.types()
    assert heard.story.provider.connections <= 3
    assert heard.gap_s <= SINGLE_S
    assert "open" not in heard.story.kinds()


# ── another provider, another place ─────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "always",
    [
        Reply(audio_ms=0, status="failed", error_code="insufficient_quota"),
        Reply(audio_ms=5000, sample=0xFF),
        Reply(audio_ms=0, status="failed", error_code="server_error"),
    ],
    ids=["quota", "silent", "failing"],
)
def test_the_second_provider_takes_over_from_one_that_will_not_speak(always: Reply) -> None:
    async def story() -> Heard:
        one = Story(talker, second=True)
        assert one.second is not None
        one.second._ids = itertools.count(5000)  # no two providers give the same id to two responses
        one.provider.default = always
        return await played(one)

    heard = virtual_run(story())
    outcome = heard.story.call.outcome
    assert outcome is not None
    assert outcome.reason == "completed"
    assert "apology" not in heard.types()
    assert heard.gap_s <= SINGLE_S
    assert heard.story.second is not None
    assert heard.story.second.connections == 1


@virtual
async def test_a_socket_that_freezes_on_the_callers_words() -> None:
    """No request is open: the flow waits for what the caller said, and the provider never tells."""

    @flow("asker")
    async def asker(call: Call) -> None:
        await call.choose("Ask: more?", yes="1", no="2", attempts=1)
        await call.respond("Come to the end.")

    story = Story(asker)
    meter = EnergyMeter(story)
    story.start()
    await story.agent_speaks()
    await story.agent_silent()
    await story.caller_begins()
    await asyncio.sleep(1)
    story.provider.emit("input_audio_buffer.speech_stopped", audio_end_ms=1000, item_id="turn_1")
    await asyncio.sleep(0.05)
    freeze(story)
    await eventually(lambda: story.provider.connections == 2, within_s=15)
    await asyncio.sleep(0.5)
    story.leg.press("1")
    await story.ends()
    assert [entry["code"] for entry in story.entries if entry["type"] == "notice"][-1] == "provider_frozen"
    assert meter.longest_s <= SINGLE_S
    assert story.kinds()[-1] == "completed"
