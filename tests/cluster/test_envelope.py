"""PURE: commands as they travel, and the inbox that takes each at most once and none too late."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceagent.cluster.beats import FleetClock
from voiceagent.cluster.envelope import SLACK_S, Envelope, Fate, Inbox, Reply, Verdict
from voiceagent.cluster.ports import Command

names = st.text(min_size=1)
values = st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text())


@settings(max_examples=30)
@given(names, names, st.text(), values, st.none() | st.text(), st.floats(0, 2e9))
def test_a_command_is_read_as_it_was_written(
    id_: str, op: str, actor: str, args: dict[str, object], key: str | None, deadline: float
) -> None:
    command = Command(id=id_, op=op, call_id="c", args=args, actor=actor, idempotency_key=key)
    envelope = Envelope(command, deadline, "re:1")
    assert Envelope.decode(envelope.encode()) == envelope
    reply = Reply(id_, Fate.DONE, args, actor)
    assert Reply.decode(reply.encode()) == reply


@settings(max_examples=30)
@given(st.binary() | st.recursive(st.none() | st.text(), st.lists).map(str))
def test_anything_else_is_a_value_error(message: bytes | str) -> None:
    for decode in (Envelope.decode, Reply.decode):
        with pytest.raises(ValueError):
            decode(message)


def test_an_id_is_forgotten_only_when_its_deadline_would_refuse_it() -> None:
    inbox, envelope = Inbox(), Envelope(Command(id="k", op="say"), 10.0)
    assert inbox.arrived(envelope, 9.9) is Verdict.TAKE
    assert inbox.arrived(envelope, 9.9) is Verdict.SEEN
    assert inbox.arrived(envelope, 12.0) is Verdict.SEEN
    assert inbox.forget(10.0 + SLACK_S - 0.1) == []
    assert inbox.forget(10.0 + SLACK_S) == ["k"]
    assert inbox.arrived(envelope, 10.0 + SLACK_S) is Verdict.LATE
    assert len(inbox) == 0


def test_on_any_line_a_command_is_done_at_most_once_by_one_node_and_never_late() -> None:
    """In 200 worlds."""
    for seed in range(200):
        send_over_a_bad_line(seed)


def send_over_a_bad_line(seed: int) -> None:
    """Three nodes with clocks of their own; messages are copied, held up, lost; nodes sleep; times are real.

    A command is addressed to one run of one node, as the channel is. What is done is done before the deadline
    that its sender meant, by the true clock of the registry.
    """
    chance = random.Random(seed)
    now = 0.0
    shift = [chance.uniform(-1000, 1000) for _ in range(3)]
    clocks = [FleetClock(lambda own=own: now + own) for own in shift]
    inboxes = [Inbox() for _ in range(3)]
    line: list[tuple[float, int, Envelope]] = []
    meant: dict[str, tuple[int, float]] = {}
    done: list[str] = []

    for node, clock in enumerate(clocks):
        sent = now + shift[node]
        now += chance.random()
        theirs = now
        now += chance.random()
        clock.learned(theirs, sent, now + shift[node])
    for step in range(120):
        now += chance.expovariate(10)
        what = chance.random()
        if what < 0.2:
            sender, owner, within = chance.randrange(3), chance.randrange(3), chance.uniform(0.2, 4)
            command = Command(id=f"k{step}", op="say", within_s=within)
            meant[command.id] = (owner, now + within)
            envelope = Envelope(command, clocks[sender].earliest() + within)
            copies = chance.choice((0, 1, 1, 1, 2, 3))
            line += [(now + chance.expovariate(1), owner, envelope) for _ in range(copies)]
        elif what < 0.3:
            node = chance.randrange(3)
            sent = now + shift[node]
            now += chance.expovariate(5)
            theirs = now
            now += chance.expovariate(5)
            clocks[node].learned(theirs, sent, now + shift[node])
        elif what < 0.35:
            now += chance.uniform(0, 12)  # everybody sleeps
        line.sort(key=lambda item: item[0])
        while line and line[0][0] <= now:
            _, owner, envelope = line.pop(0)
            inboxes[owner].forget(clocks[owner].latest())
            if inboxes[owner].arrived(envelope, clocks[owner].latest()) is Verdict.TAKE:
                done.append(envelope.command.id)
                assert meant[envelope.command.id][0] == owner
                assert now <= meant[envelope.command.id][1] + 1e-6
    assert len(done) == len(set(done)), seed
    assert done, seed
