"""Floods: of strangers, of forged sources, and of those who may call. Nothing grows, and nobody is harmed."""

from __future__ import annotations

import random
from collections import Counter

from tests.sip.ladder import OFFER, PHONE, Ladder, Phone, established
from voiceagent.bench.fuzz import own_seeds
from voiceagent.bench.mutate import Mutator
from voiceagent.sip.effects import Address, Dropped, InviteReceived, SendDatagram
from voiceagent.sip.syntax.message import Response
from voiceagent.sip.syntax.parser import parse_datagram
from voiceagent.sip.trunk.strangers import IN_ALL, PER_HOST, ReplyBudget


def stranger(dice: random.Random) -> Address:
    return Address(f"203.0.{dice.randrange(256)}.{dice.randrange(256)}", dice.randrange(1024, 65536))


def test_a_hundred_thousand_datagrams_of_strangers_get_no_reply_and_leave_no_trace() -> None:
    dice = random.Random(75)
    ladder, phone, _ = established()
    damaged = Mutator(own_seeds(), 75)
    flood = [*own_seeds(), *(damaged.next() for _ in range(500)), phone.request("BYE")]
    receive = ladder.endpoint.receive
    before = ladder.endpoint.figures()
    whys: Counter[str] = Counter()
    for n in range(100_000):
        for effect in receive(dice.choice(flood), stranger(dice), n / 2_000):
            assert isinstance(effect, Dropped)
            whys[effect.why] += 1
    after = ladder.endpoint.figures()
    assert whys == {"unknown_source": 100_000}
    assert (after.server_transactions, after.legs, after.dialogs, after.timers) == (
        before.server_transactions,
        before.legs,
        before.dialogs,
        before.timers,
    )
    assert set(after.counts) - set(before.counts) == {"drop_unknown_source"}
    ladder.now = 50.0
    ladder.receive(phone.request("BYE"))
    assert ladder.response().status == 200


def test_refusals_to_strangers_are_few_and_never_longer_than_what_came() -> None:
    dice = random.Random(403)
    ladder = Ladder(refuse_unknown_sources=True)
    damaged = Mutator(own_seeds(), 403)
    one, sound = Address("203.0.113.9", 5060), own_seeds()
    replies: Counter[tuple[str, int]] = Counter()
    for n in range(20_000):
        now = n / 2_000
        source = one if n % 2 else stranger(dice)
        data = dice.choice(sound) if n % 4 == 1 else damaged.next()
        for effect in ladder.endpoint.receive(data, source, now):
            if isinstance(effect, SendDatagram):
                assert len(effect.data) <= len(data)
                assert effect.data.startswith(b"SIP/2.0 403 ")
                replies[source.host, int(now)] += 1
    assert max(count for (host, _), count in replies.items() if host == one.host) == PER_HOST
    per_second: Counter[int] = Counter()
    for (_, second), count in replies.items():
        per_second[second] += count
    assert max(per_second.values()) <= IN_ALL
    ladder.nothing_left()


def test_the_refusal_does_not_say_who_we_are() -> None:
    ladder, phone = Ladder(refuse_unknown_sources=True), Phone()
    ladder.receive(phone.request("INVITE", OFFER), Address("203.0.113.9", 5060))
    assert ladder.response().status == 403
    assert ladder.response().headers.get("Server") is None


def test_a_request_shorter_than_its_refusal_is_dropped() -> None:
    ladder = Ladder(refuse_unknown_sources=True)
    short = (
        b"OPTIONS sip:a SIP/2.0\r\nv:SIP/2.0/UDP h;branch=z9hG4bK1;rport\r\nf:<sip:a>;tag=1\r\n"
        b"t:<sip:b>\r\ni:1\r\nCSeq:1 OPTIONS\r\n\r\n"
    )
    effects = ladder.endpoint.receive(short, Address("203.0.113.9", 5060), 0.0)
    assert [type(effect) for effect in effects] == [Dropped]


def test_a_budget_holds_no_more_hosts_than_it_answers() -> None:
    budget = ReplyBudget()
    answered = 0
    for n in range(10_000):
        if budget.left(f"h{n}", 0.5):
            budget.spend(f"h{n}")
            answered += 1
    assert answered == IN_ALL
    assert not budget.left("h1", 1.4)
    assert budget.left("h1", 1.5)


def test_a_flood_of_those_who_may_call_is_bounded_and_the_call_goes_on() -> None:
    """At the limits of legs and transactions new ones get 503 with a random time to come back."""
    ladder, phone, _ = established(max_legs=50, max_transactions=300)
    waits: Counter[str] = Counter()
    statuses: Counter[int] = Counter()
    legs: list[str] = []
    for n in range(2_000):
        caller = Phone(call_id=f"flood-{n}", tag=f"t{n}")
        data = caller.request("INVITE" if n % 2 else "OPTIONS", OFFER if n % 2 else b"")
        effects = ladder.endpoint.receive(data, PHONE, 0.0)
        legs += [effect.leg for effect in effects if isinstance(effect, InviteReceived)]
        reply = parse_datagram(next(effect.data for effect in effects if isinstance(effect, SendDatagram)))
        assert isinstance(reply, Response)
        statuses[reply.status] += 1
        if reply.status == 503:
            waits[reply.headers.get("Retry-After") or ""] += 1
    figures = ladder.endpoint.figures()
    assert figures.legs == 50
    assert figures.server_transactions <= 300
    assert statuses[503] > 1_500
    assert set(waits) == {str(seconds) for seconds in range(5, 16)}
    # What belongs to the call that is up still gets through: ACK, BYE need the table, but not a new leg.
    ladder.advance(40)
    ladder.receive(phone.request("BYE"), PHONE)
    assert ladder.response().status == 200
    for leg in legs:
        ladder.do("reject", leg, 486, "")
    ladder.settle()
    ladder.nothing_left()
