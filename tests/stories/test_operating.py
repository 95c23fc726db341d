"""What operators do to whole calls, in virtual time, through the node's directory."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from tests.kit.fake_leg import FakeLeg
from tests.kit.story import Story
from tests.kit.virtual_loop import eventually, settle, virtual
from tests.stories.test_secrets import without_counts
from tests.stories.test_transfers import CONFIG, DESK, Exchange
from voiceagent.app.directory import NodeDirectory
from voiceagent.app.events import EventHub
from voiceagent.call.leg import LegCapabilities, TransferResult
from voiceagent.console.ports import Act, CallView
from voiceagent.errors import CallEnded, RequestRefused, SipError
from voiceagent.ids import counted_tokens
from voiceagent.ivr import Call, flow
from voiceagent.observe.metrics import Metrics

TRANSFER = Act("transfer", target=DESK)


@flow("waiter")
async def waiter(call: Call) -> None:
    await asyncio.Event().wait()


class Desk:
    """One call, and an operator before it."""

    def __init__(self, leg: FakeLeg | None = None, *, exchange: Exchange | None = None) -> None:
        dial = None if exchange is None else exchange.dial
        self.story = Story(waiter, config=CONFIG, leg=leg, dial=dial)
        ready: tuple[bool, Mapping[str, Any]] = (True, {})
        self.directory = NodeDirectory(
            EventHub(), Metrics(), counted_tokens("d"), provider="scripted", readiness=lambda: ready
        )
        self.directory.add(self.story.call)
        self.story.start()

    async def act(self, act: Act, key: str | None = None) -> CallView:
        return await self.directory.act(
            self.story.call.id, act, idempotency_key=key, operator="operator via api"
        )

    async def refused(self, act: Act) -> tuple[str, str]:
        """Return code and field of the refusal."""
        with pytest.raises(RequestRefused) as refusal:
            await self.act(act)
        return refusal.value.code, refusal.value.field

    @property
    def view(self) -> CallView:
        return self.directory.call(self.story.call.id)

    def entries(self, kind: str) -> list[Mapping[str, Any]]:
        return [entry for entry in self.story.entries if entry["type"] == kind]

    async def talking(self) -> None:
        await eventually(lambda: self.story.call.state == "talking")


@virtual
async def test_a_held_caller_hears_music_until_it_is_taken_back() -> None:
    desk = Desk()
    await desk.talking()
    assert desk.view.held_by == ()
    can = ("hold", "transfer", "send_digits", "listen", "take_over")
    assert desk.view.abilities == can  # nobody can be dialled
    held = await desk.act(Act("hold"))
    assert (held.held_by, held.floor) == (("us",), "held")
    await desk.act(Act("hold"))
    desk.story.leg.listener.leg_held(True)
    assert desk.view.held_by == ("us", "caller")
    desk.story.leg.listener.leg_held(False)
    assert (await desk.act(Act("resume"))).held_by == ()
    await desk.act(Act("resume"))
    assert desk.story.leg.log[-2:] == ["hold", "resume"]
    assert [entry["operator"] for entry in desk.entries("operator.hold")] == ["operator via api"] * 2
    assert len(desk.entries("operator.resume")) == 2
    desk.story.leg.caller_hangs_up()
    await eventually(lambda: desk.view.state == "ended")
    assert desk.view.abilities == ()


@virtual
async def test_a_caller_handed_over_leaves_and_one_who_cannot_be_stays() -> None:
    desk = Desk()
    await desk.talking()
    desk.story.leg.transfer_result = TransferResult(False, 486, "Busy Here", ((180, "Ringing"),))
    both = await asyncio.gather(desk.act(TRANSFER), desk.act(TRANSFER), return_exceptions=True)
    assert [type(one) for one in both] == [CallView, RequestRefused], "one at a time"
    await settle()
    failed = {"target": DESK, "attended": False, "state": "failed", "status": 486, "reason": "Busy Here"}
    assert desk.view.transfer == failed
    assert desk.view.state == "talking"
    desk.story.leg.transfer_result = TransferResult(True, 200, "OK")
    view = await desk.act(TRANSFER)
    assert view.transfer is not None
    await eventually(lambda: desk.view.state == "ended")
    assert desk.view.transfer is not None
    assert desk.view.transfer["state"] == "done"
    assert desk.view.outcome is not None
    assert desk.view.outcome["reason"] == "transferred"
    told = desk.entries("operator.transfer")
    assert [(entry["target"], entry["attended"]) for entry in told] == [(DESK, False)] * 2


@virtual
async def test_while_one_is_consulted_nobody_else_is_and_the_caller_is_joined() -> None:
    exchange = Exchange(after_s=2.0)
    desk = Desk(exchange=exchange)
    await desk.talking()
    assert "consult" in desk.view.abilities
    await desk.act(Act("transfer", target=DESK, attended=True), key="k1")
    await eventually(lambda: desk.view.transfer is not None and desk.view.transfer["status"] == 180)
    assert desk.view.held_by == ("us",)
    for act in (TRANSFER, Act("hold"), Act("resume"), Act("send_digits", digits="1")):
        assert await desk.refused(act) == ("handing_over", "call")
    # A retry is no second transfer, and no refusal.
    again = await desk.act(Act("transfer", target=DESK, attended=True), key="k1")
    assert again.transfer is not None
    assert again.transfer["state"] == "trying"
    await eventually(lambda: desk.view.state == "ended")
    assert desk.story.leg.log[-2] == f"transfer_to {DESK}"
    assert len(desk.entries("operator.transfer")) == 1


@virtual
async def test_only_what_the_list_names_is_called() -> None:
    desk = Desk()
    await desk.talking()
    for target, code in (
        ("sip:other@example.com", "target_not_allowed"),
        ("+881612345678", "denied_target"),
        ("<sip:desk@example.com>;x", "bad_target"),
        ("sip:desk@example.com?Replaces=x", "bad_target"),
    ):
        assert await desk.refused(Act("transfer", target=target)) == (code, "target")
    assert desk.entries("operator.transfer") == []
    await desk.act(Act("transfer", target="SIP:desk@EXAMPLE.com"))
    await eventually(lambda: f"transfer {DESK}" in desk.story.leg.log)


@virtual
async def test_keys_are_sent_once_and_not_written_down() -> None:
    desk = Desk()
    await desk.talking()
    for _ in range(2):
        await desk.act(Act("send_digits", digits="4711#"), key="k1")
    assert [line for line in desk.story.leg.log if line.startswith("digits")] == ["digits 4711#"]
    assert [entry["count"] for entry in desk.entries("operator.send_digits")] == [5]
    assert "4711" not in without_counts(list(desk.entries("operator.send_digits")))


@virtual
async def test_a_call_that_cannot_says_so() -> None:
    leg = FakeLeg()
    leg.capabilities = LegCapabilities(can_send_digits=False, can_hold=False, can_consult=False)
    desk = Desk(leg, exchange=Exchange())
    await desk.talking()
    assert desk.view.abilities == ("transfer",)
    assert await desk.refused(Act("hold")) == ("not_supported", "hold")
    assert await desk.refused(Act("resume")) == ("not_supported", "resume")
    assert await desk.refused(Act("send_digits", digits="1")) == ("not_supported", "digits")
    assert await desk.refused(Act("transfer", target=DESK, attended=True)) == ("not_supported", "attended")


@virtual
async def test_what_the_line_refuses_is_told_and_ends_nothing() -> None:
    class Mute(FakeLeg):
        async def send_digits(self, digits: str) -> None:
            raise SipError("the peer takes no INFO", status=405)

    desk = Desk(Mute())
    await desk.talking()
    act = Act("send_digits", digits="1")
    with pytest.raises(RequestRefused) as refusal:
        await desk.act(act, key="k1")
    assert (refusal.value.code, "no INFO" in str(refusal.value)) == ("failed", True)
    with pytest.raises(RequestRefused):
        await desk.act(act, key="k1")  # what failed was not done: a retry tries again
    assert desk.view.state == "talking"


@virtual
async def test_before_the_answer_and_after_the_end_nothing_is_done() -> None:
    desk = Desk(FakeLeg(direction="outbound"))
    await settle()
    assert await desk.refused(Act("hold")) == ("not_answered", "call")
    desk.story.leg.caller_hangs_up()
    await eventually(lambda: desk.story.call.ended)
    desk.directory.call_ended(desk.story.call)
    with pytest.raises(CallEnded):
        await desk.act(TRANSFER)


@virtual
async def test_an_end_in_the_middle_of_an_act_is_told() -> None:
    class Slow(FakeLeg):
        async def hold(self, on: bool) -> bool:
            await asyncio.sleep(30)
            return True

    desk = Desk(Slow())
    await desk.talking()
    acting = asyncio.ensure_future(desk.act(Act("hold")))
    await settle()
    desk.story.leg.caller_hangs_up()
    with pytest.raises(CallEnded):
        await acting
