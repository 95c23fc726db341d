"""Callers who wait for a person: in order, with music, until somebody picks up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tests.kit.fake_leg import FakeCallee, FakeLeg
from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import eventually, virtual
from voiceagent.call.config import CallConfig
from voiceagent.call.leg import Leg, LegCapabilities, TransferResult
from voiceagent.call.queue_room import QueueRoom
from voiceagent.call.queueing import QueueConfig
from voiceagent.errors import RequestRefused
from voiceagent.ivr import Call, Flow, flow
from voiceagent.ivr.ports import QueueOutcome

ANN, BEN = "sip:ann@example.com", "sip:ben@example.com"
SALES = QueueConfig((ANN, BEN), max_waiting=3, retry_s=10.0, ring_s=8.0, announce_every_s=30.0)
CONFIG = CallConfig(transfer_targets=(ANN, BEN))


class Desk:
    """The people behind the targets: each is busy, rings for long, or answers after ``after_s``."""

    def __init__(self, **people: Any) -> None:
        self.people = people
        self.called: list[tuple[float, str]] = []
        self.callees: list[FakeCallee] = []

    def dial(self, target: str, headers: Sequence[tuple[str, str]], for_leg: Leg) -> Leg:
        name = target.removeprefix("sip:").partition("@")[0]
        self.called.append((round(asyncio.get_running_loop().time(), 1), name))
        self.callees.append(FakeCallee(target, **self.people.get(name, {"refuse": 486})))
        return self.callees[-1]

    @property
    def names(self) -> list[str]:
        return [name for _, name in self.called]


def queueing(outcomes: list[QueueOutcome], **how: Any) -> Flow:
    @flow("queueing")
    async def queueing(call: Call) -> None:
        outcomes.append(await call.queue("sales", **how))
        await call.hangup("Goodbye.")

    return queueing


def caller(
    room: QueueRoom, desk: Desk, number: int = 1, one: Flow | None = None, **options: Any
) -> tuple[Story, list[QueueOutcome]]:
    outcomes: list[QueueOutcome] = []
    how = options.pop("how", {})
    story = Story(
        one or queueing(outcomes, **how),
        config=CONFIG,
        dial=desk.dial,
        queues=room,
        call_id=f"call_{number}",
        **options,
    )
    story.provider.default = Reply("You are number.", audio_ms=2000)
    return story, outcomes


def entries(story: Story, kind: str) -> list[Any]:
    return [one for one in story.entries if one["type"] == kind]


def said(story: Story) -> list[str]:
    return [event["response"]["instructions"] for event in story.provider.creates()]


@virtual
async def test_the_caller_hears_music_and_the_position_until_somebody_picks_up() -> None:
    room, desk = QueueRoom({"sales": SALES}), Desk(ben={"after_s": 3.0})
    story, outcomes = caller(room, desk, how={"whisper": "A caller for sales."})
    story.start()
    outcome = await story.ends()
    assert (outcome.reason, outcome.detail) == ("transferred", BEN)
    assert outcomes == [], "it does not return"
    assert desk.names == ["ann", "ben"], "the next one, at once"
    assert story.leg.log == [
        *("prepare", "answer", "music", f"transfer_to {BEN}", "hang_up transferred", "no music"),
    ]
    assert len(desk.callees[1].played) == 2000 * 8, "the whisper, to Ben"
    assert "A caller for sales." in said(story)[-1]
    assert [(one["target"], one["accepted"]) for one in entries(story, "queue.offered")] == [
        (ANN, False),
        (BEN, True),
    ]
    [left] = entries(story, "queue.left")
    assert left["reason"] == "connected"
    assert room.waiting("sales") == 0


@virtual
async def test_first_come_first_served_and_everybody_is_told_where_they_stand() -> None:
    room, desk = QueueRoom({"sales": SALES}), Desk(ann={"after_s": 6.0}, ben={"refuse": 486})
    stories = [caller(room, desk, number)[0] for number in (1, 2, 3)]
    for one in stories:
        one.start()
        await asyncio.sleep(1)
    await eventually(lambda: stories[2].call.step == "queue sales 3/3")
    assert [one.call.step for one in stories] == ["queue sales 1/3", "queue sales 2/3", "queue sales 3/3"]
    ended = [(await one.ends(), asyncio.get_running_loop().time()) for one in stories]
    assert [outcome.reason for outcome, _ in ended] == ["transferred"] * 3
    assert [at for _, at in ended] == sorted(at for _, at in ended)
    assert desk.names == ["ann"] * 3, "nobody is offered before the one in front is served"
    last = stories[2]
    assert "You are number 3 in the queue." in said(last)[0]
    assert [one["position"] for one in entries(last, "queue.position")] == [2, 1]
    waiting = [
        (kind, facts["waiting"]) for kind, facts in last.observed.happenings if kind.startswith("queue.")
    ]
    assert waiting[0] == ("queue.position", 3)
    assert waiting[-1] == ("queue.left", 0)


@virtual
async def test_when_nobody_can_be_had_the_next_round_begins_later() -> None:
    room, desk = QueueRoom({"sales": SALES}), Desk(ann={"refuse": 486}, ben={"after_s": 60.0})
    story, _ = caller(room, desk, how={"announce": False})
    story.start()
    await eventually(lambda: len(desk.called) == 4, within_s=60)
    (t1, _), (t2, _), (t3, _), _ = desk.called
    assert desk.names == ["ann", "ben", "ann", "ben"]
    assert t3 - t2 == pytest.approx(8 + 10, abs=0.2), "rings for 8 s, then 10 s of rest"
    assert t2 - t1 == pytest.approx(2, abs=0.2)
    story.leg.caller_hangs_up()
    await story.ends()


@virtual
@pytest.mark.parametrize(("leave", "reason"), [("*", "left"), ("9", "left")])
async def test_a_key_leaves_the_queue_even_while_somebodys_phone_rings(leave: str, reason: str) -> None:
    room, desk = QueueRoom({"sales": SALES}), Desk(ann={"after_s": 60.0})
    story, outcomes = caller(room, desk, how={"leave": leave})
    story.start()
    await eventually(lambda: desk.names == ["ann"])
    await asyncio.sleep(1)
    story.leg.press("5")
    await asyncio.sleep(1)
    assert outcomes == []
    story.leg.press(leave)
    await story.ends()
    assert [(one.reason, one.position) for one in outcomes] == [(reason, 1)]
    assert desk.callees[0].ended, "Ann's phone rings no more"
    assert story.leg.log.index("no music") < len(story.leg.log) - 1, "the goodbye comes without music"
    assert story.kinds()[-1] == "completed"


@virtual
async def test_a_caller_who_hangs_up_leaves_at_once_and_the_next_one_is_first() -> None:
    room, desk = QueueRoom({"sales": SALES}), Desk(ann={"after_s": 60.0}, ben={"after_s": 60.0})
    (first, _), (second, _) = caller(room, desk, 1), caller(room, desk, 2)
    first.start()
    await asyncio.sleep(1)
    second.start()
    await eventually(lambda: second.call.step == "queue sales 2/2")
    first.leg.caller_hangs_up()
    assert (await first.ends()).reason == "caller_hung_up"
    await eventually(lambda: second.call.step == "queue sales 1/1")
    await eventually(lambda: len(desk.called) == 2)
    assert desk.callees[0].ended
    assert entries(first, "queue.left")[0]["reason"] == "hung_up"
    second.leg.caller_hangs_up()
    await second.ends()
    assert room.waiting("sales") == 0


@virtual
async def test_a_full_queue_is_told_at_once() -> None:
    room = QueueRoom({"sales": QueueConfig((ANN,), max_waiting=1)})
    desk = Desk(ann={"after_s": 60.0})
    (first, _), (second, outcomes) = caller(room, desk, 1), caller(room, desk, 2)
    first.start()
    await asyncio.sleep(1)
    second.start()
    await second.ends()
    assert outcomes == [QueueOutcome("full", 0, 0.0)]
    assert entries(second, "queue.refused")[0]["reason"] == "full"
    assert "music" not in second.leg.log
    first.leg.caller_hangs_up()
    await first.ends()


@virtual
@pytest.mark.parametrize("timeout_s", [None, 12.0])
async def test_nobody_waits_for_ever(timeout_s: float | None) -> None:
    room = QueueRoom({"sales": QueueConfig((ANN,), wait_limit_s=40, ring_s=30)})
    desk = Desk(ann={"after_s": 60.0})
    story, outcomes = caller(room, desk, how={"timeout_s": timeout_s})
    story.start()
    await story.ends()
    [outcome] = outcomes
    assert outcome.reason == "timed_out"
    assert outcome.waited_s == pytest.approx(timeout_s or 40, abs=0.2)
    assert desk.callees[-1].ended


@virtual
async def test_a_target_who_has_picked_up_is_not_let_go_at_the_last_moment() -> None:
    room = QueueRoom({"sales": QueueConfig((ANN,), wait_limit_s=10, ring_s=30)})
    desk = Desk(ann={"after_s": 7.5})
    story, outcomes = caller(room, desk, how={"whisper": "A caller.", "announce": False})
    story.start()
    await eventually(lambda: bool(desk.callees) and len(desk.callees[0].played) > 0, within_s=20)
    story.leg.press("*")
    assert (await story.ends()).reason == "transferred"
    assert outcomes == []


@virtual
async def test_the_position_is_told_now_and_then_and_in_the_flows_language() -> None:
    room = QueueRoom({"sales": QueueConfig((ANN,), announce_every_s=30, retry_s=100)})
    outcomes: list[QueueOutcome] = []

    @flow("warteschlange", language="de")
    async def german(call: Call) -> None:
        outcomes.append(await call.queue("sales", timeout_s=70))

    story, _ = caller(room, Desk(), one=german)
    story.start()
    await story.ends()
    assert [line.split('"')[1] for line in said(story)] == [
        "Sie sind an Position 1 in der Warteschlange."
    ] * 3


@virtual
async def test_what_a_waiting_caller_says_is_heard_by_nobody() -> None:
    room = QueueRoom({"sales": SALES})
    story, _ = caller(room, Desk(ann={"after_s": 60.0}))
    heard: list[bytes] = []
    story.start()
    await eventually(lambda: story.call.step.startswith("queue"))
    assert story.call.session is not None
    story.call.session.model.send_audio = (  # pyright: ignore[reportAttributeAccessIssue]
        lambda audio, commit=False: heard.append(audio)
    )
    for _ in range(10):
        story.leg.hears(b"\x11" * 160)
    assert heard
    assert set(b"".join(heard)) == {0xFF}
    story.leg.caller_hangs_up()
    await story.ends()


@virtual
async def test_a_node_that_goes_lets_everybody_out_politely() -> None:
    room, desk = QueueRoom({"sales": SALES}), Desk(ann={"after_s": 60.0})
    (first, out1), (second, out2) = caller(room, desk, 1), caller(room, desk, 2)
    first.start()
    second.start()
    await eventually(lambda: room.waiting("sales") == 2)
    await asyncio.sleep(1)
    room.close()
    assert [(await one.ends()).reason for one in (first, second)] == ["completed"] * 2
    assert [one.reason for one in (*out1, *out2)] == ["closed"] * 2
    assert first.kinds()[-1] == "completed", "the goodbye was heard"
    late, out3 = caller(room, desk, 3)
    late.start()
    await late.ends()
    assert [one.reason for one in out3] == ["closed"]


@virtual
async def test_without_a_line_of_our_own_the_callers_side_does_the_calling() -> None:
    room = QueueRoom({"sales": SALES})
    leg = FakeLeg()
    leg.capabilities = LegCapabilities(can_consult=False)
    leg.transfer_result = TransferResult(False, 486, "Busy Here")
    story, outcomes = caller(room, Desk(), how={"timeout_s": 5}, leg=leg)
    story.start()
    await story.ends()
    assert [line for line in leg.log if line.startswith("transfer")] == [f"transfer {ANN}", f"transfer {BEN}"]
    assert outcomes[0].reason == "timed_out"


@virtual
async def test_a_queue_that_does_not_exist_is_refused_and_names_the_field() -> None:
    fields: list[tuple[str, str]] = []

    @flow("queueing")
    async def wrong(call: Call) -> None:
        for how in ({"name": "support"}, {"name": "sales", "leave": "**"}, {"name": "sales", "timeout_s": 0}):
            with pytest.raises(RequestRefused) as error:
                await call.queue(**how)  # pyright: ignore[reportArgumentType]
            fields.append((error.value.field, error.value.code))

    story, _ = caller(QueueRoom({"sales": SALES}), Desk(), one=wrong)
    story.start()
    assert (await story.ends()).reason == "completed"
    assert fields == [
        ("queue", "unknown_queue"),
        ("leave", "invalid_request"),
        ("timeout_s", "invalid_request"),
    ]


@virtual
async def test_a_queue_is_left_out_of_the_recording() -> None:
    @flow("queueing")
    async def recorded(call: Call) -> None:
        await call.record()
        await call.queue("sales", timeout_s=5)
        await asyncio.sleep(1)

    story, _ = caller(QueueRoom({"sales": SALES}), Desk(), one=recorded)
    story.start()
    await story.ends()
    assert [one["by"] for one in entries(story, "recording.paused")] == ["queue"]
    assert [one["by"] for one in entries(story, "recording.resumed")] == ["queue"]
