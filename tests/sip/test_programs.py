"""Random programs of well-formed events against one endpoint; what must hold after every step and at the end.

By default 150 programs of up to 40 steps, always the same; ``VOICEAGENT_SIP_PROGRAMS`` runs as many new ones.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.sip.ladder import ANSWER, OFFER, PHONE, Ladder, Phone
from voiceagent.errors import SipError
from voiceagent.sip.effects import (
    Confirmed,
    Ended,
    InviteReceived,
    OfferReceived,
    SendDatagram,
    SipEffect,
)
from voiceagent.sip.message import Request, Response
from voiceagent.sip.parser import parse_datagram
from voiceagent.sip.transaction import ServerTransaction

PROGRAMS = int(os.environ.get("VOICEAGENT_SIP_PROGRAMS", "0"))
COMMANDS = (
    "ring",
    "accept",
    "accept",
    "reject",
    "hang_up",
    "cancel",
    "offer",
    "answer_offer",
    "refuse_offer",
    "refer",
    "send_info",
    "probe",
    "refer_outcome",
)


class Programs(RuleBasedStateMachine):
    """Up to two inbound and two outbound calls; the peer may do anything that is well-formed, at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.ladder = Ladder(allow_refer=True, setup_limit=200.0)
        self.phones: list[Phone] = []
        self.legs: list[str] = []
        self.invites: list[bytes] = []  # the peer's, for repetitions and CANCEL
        self.invite_branches: list[tuple[Phone, int, str]] = []
        self.ours: list[Request] = []  # our requests that the peer saw
        self.finals: dict[ServerTransaction, bytes] = {}
        self.ended: Counter[str] = Counter()
        self.offers: Counter[str] = Counter()
        self.cseq: dict[tuple[str, str | None], tuple[int, bytes]] = {}
        self.seen = 0

    # What the world does.

    def receive(self, data: bytes) -> None:
        self.ladder.receive(data, PHONE)
        self.observe()

    def command(self, name: str, *args: Any) -> None:
        try:
            self.ladder.do(name, *args)
        except SipError as error:
            if error.code not in ("no_such_leg", "bad_state"):
                raise
        self.observe()

    @initialize()
    def start(self) -> None:
        self.observe()

    @precondition(lambda self: len(self.phones) < 2)
    @rule(late=st.booleans())
    def peer_calls(self, late: bool) -> None:
        phone = Phone(call_id=f"in-{len(self.phones)}", tag=f"peer-{len(self.phones)}")
        self.phones.append(phone)
        branch = phone.branch()
        data = phone.request("INVITE", b"" if late else OFFER, branch=branch)
        self.invites.append(data)
        self.invite_branches.append((phone, phone.cseq, branch))
        self.receive(data)

    @precondition(lambda self: len(self.legs) - len(self.phones) < 2)
    @rule()
    def we_call(self) -> None:
        leg = self.ladder.invite()
        self.legs.append(leg)
        self.observe()

    @precondition(lambda self: self.invites)
    @rule(pick=st.integers(0, 9))
    def peer_repeats_an_invite(self, pick: int) -> None:
        self.receive(self.invites[pick % len(self.invites)])

    @precondition(lambda self: self.invite_branches)
    @rule(pick=st.integers(0, 9), method=st.sampled_from(["CANCEL", "ACK"]))
    def peer_sends_on_the_invites_branch(self, pick: int, method: str) -> None:
        phone, number, branch = self.invite_branches[pick % len(self.invite_branches)]
        tag = "" if method == "CANCEL" else None
        self.receive(phone.request(method, cseq=number, branch=branch, to_tag=tag))

    @precondition(lambda self: self.invite_branches)
    @rule(pick=st.integers(0, 9), answer=st.booleans())
    def peer_acknowledges_a_2xx(self, pick: int, answer: bool) -> None:
        phone, number, _ = self.invite_branches[pick % len(self.invite_branches)]
        self.receive(phone.request("ACK", ANSWER if answer else b"", cseq=number))

    @precondition(lambda self: self.phones)
    @rule(
        pick=st.integers(0, 9),
        method=st.sampled_from(["BYE", "INVITE", "UPDATE", "INFO", "OPTIONS", "REFER", "NOTIFY"]),
        skip=st.sampled_from([0, 0, 0, 5, -2]),
    )
    def peer_sends_within_the_dialog(self, pick: int, method: str, skip: int) -> None:
        phone = self.phones[pick % len(self.phones)]
        if not phone.to_tag:
            return
        phone.cseq = max(1, phone.cseq + skip)
        branch = phone.branch()
        data = within(phone, method, branch)
        if method == "INVITE":
            self.invites.append(data)
            self.invite_branches.append((phone, phone.cseq, branch))
        self.receive(data)

    @precondition(lambda self: self.ours)
    @rule(
        pick=st.integers(0, 30),
        status=st.sampled_from([100, 180, 183, 200, 200, 202, 302, 408, 481, 486, 487, 491, 500]),
        tag=st.sampled_from(["callee", "callee", "other"]),
    )
    def peer_answers_one_of_our_requests(self, pick: int, status: int, tag: str) -> None:
        request = self.ours[-1 - pick % len(self.ours)]
        body = ANSWER if request.method == "INVITE" and status in (183, 200) else b""
        self.receive(Phone().reply(request, status, body, tag=tag))

    @precondition(lambda self: any(request.method == "ACK" for request in self.ours))
    @rule(method=st.sampled_from(["BYE", "INVITE", "INFO"]), cseq=st.integers(1, 9))
    def callee_sends_within_the_dialog(self, method: str, cseq: int) -> None:
        ack = next(request for request in reversed(self.ours) if request.method == "ACK")
        callee = Phone(call_id=f"from-callee-{len(self.ladder.lines)}")
        tag = ack.to.tag or "callee"
        self.receive(
            callee.from_callee(ack, method, OFFER if method == "INVITE" else b"", tag=tag, cseq=cseq)
        )

    @precondition(lambda self: self.legs)
    @rule(
        pick=st.integers(0, 9),
        command=st.sampled_from(COMMANDS),
    )
    def we_do_something(self, pick: int, command: str) -> None:
        arguments: dict[str, tuple[Any, ...]] = {
            "accept": (ANSWER,),
            "reject": (486, ""),
            "offer": (OFFER,),
            "answer_offer": (ANSWER,),
            "refuse_offer": (488,),
            "refer": ("sip:x@127.0.0.1",),
            "send_info": ("application/dtmf", b"1"),
            "refer_outcome": (200, "OK"),
        }
        self.command(command, self.legs[pick % len(self.legs)], *arguments.get(command, ()))

    @rule(seconds=st.sampled_from([0.1, 0.5, 2.0, 5.0, 33.0]))
    def time_passes(self, seconds: float) -> None:
        self.ladder.advance(seconds)
        self.observe()

    # What must hold.

    def observe(self) -> None:
        fresh = self.ladder.effects[self.seen :]
        self.seen = len(self.ladder.effects)
        for effect in fresh:
            if isinstance(effect, SendDatagram):
                self.check_message(effect.data)
            else:
                self.check_event(effect)

    def check_event(self, event: SipEffect) -> None:
        leg = getattr(event, "leg", None)
        if leg is None:
            return
        assert not self.ended[leg], f"{event} after the end"
        if isinstance(event, Ended):
            self.ended[leg] += 1
        elif isinstance(event, InviteReceived):
            assert leg not in self.legs
            self.legs.append(leg)
        elif isinstance(event, OfferReceived):
            self.offers[leg] += 1
        elif isinstance(event, Confirmed):
            assert leg in self.legs

    def check_message(self, data: bytes) -> None:
        message = parse_datagram(data)
        assert isinstance(message, Request | Response)
        if isinstance(message, Response):
            tag = message.to.tag
            for phone in self.phones:
                if message.call_id == phone.call_id and tag and message.status in range(180, 300):
                    phone.to_tag = tag
            if message.status >= 200:
                # A branch that comes back after its transaction is gone is a new transaction.
                live = self.ladder.endpoint._core.layer.servers  # pyright: ignore[reportPrivateUsage]
                transaction = live.get((message.via.branch, message.via.sent_by, message.cseq.method))
                if transaction is not None:
                    said = self.finals.setdefault(transaction, data)
                    assert said == data, "two different final responses in one transaction"
            return
        self.ours.append(message)
        if message.method in ("ACK", "CANCEL"):
            return
        dialog = (message.call_id, message.to.tag)
        number, last = self.cseq.get(dialog, (0, b""))
        assert message.cseq.number > number or data == last or self.sent_before(data), "CSeq went backwards"
        if message.cseq.number > number:
            self.cseq[dialog] = (message.cseq.number, data)

    def sent_before(self, data: bytes) -> bool:
        sent = [e.data for e in self.ladder.effects[: self.seen] if isinstance(e, SendDatagram)]
        return sent.count(data) > 1

    @invariant()
    def live_legs_are_those_not_ended(self) -> None:
        live = {leg for leg in self.legs if not self.ended[leg]}
        assert self.ladder.endpoint.figures().legs == len(live)

    def teardown(self) -> None:
        for leg in self.legs:
            self.command("hang_up", leg)
        self.ladder.advance(400)
        self.observe()
        assert all(self.ended[leg] == 1 for leg in self.legs)
        self.ladder.nothing_left()


def within(phone: Phone, method: str, branch: str) -> bytes:
    """A well-formed request of the peer within its dialog."""
    make: Callable[..., bytes] = phone.request
    if method in ("INVITE", "UPDATE"):
        return make(method, OFFER, branch=branch)
    if method == "INFO":
        return make(method, b"5", branch=branch, content_type="application/dtmf")
    if method == "REFER":
        return make(method, b"", "Refer-To: <sip:200@127.0.0.1>", branch=branch)
    if method == "NOTIFY":
        return make(
            method,
            b"SIP/2.0 200 OK\r\n",
            "Event: refer",
            "Subscription-State: terminated",
            branch=branch,
            content_type="message/sipfrag",
        )
    return make(method, branch=branch)


Programs.TestCase.settings = settings(
    max_examples=PROGRAMS or 150,
    derandomize=not PROGRAMS,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestPrograms = Programs.TestCase
