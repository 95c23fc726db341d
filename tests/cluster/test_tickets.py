"""A node's ticket is good for one call, one receiver, once, and not for long."""

from __future__ import annotations

import pytest

from voiceagent.cluster.tickets import GOOD_S, Ticket, TicketDesk, TicketRefused, issue

SECRET = "a secret of the fleet"
NOW = 1_800_000_000.0
TICKET = Ticket(NOW, "n1", "node.a")


def test_a_ticket_is_taken_once() -> None:
    desk = TicketDesk(SECRET, "b")
    text = issue(SECRET, "c1", "b", TICKET)
    assert desk.take(text, "c1", NOW + 1) == TICKET
    with pytest.raises(TicketRefused, match="used before"):
        desk.take(text, "c1", NOW + 2)
    assert desk.take(issue(SECRET, "c1", "b", TICKET._replace(nonce="n2")), "c1", NOW + 2).nonce == "n2"


@pytest.mark.parametrize(
    ("text", "call", "now"),
    [
        (issue("another secret here", "c1", "b", TICKET), "c1", NOW),
        (issue(SECRET, "c1", "b", TICKET), "c2", NOW),
        (issue(SECRET, "c1", "c", TICKET), "c1", NOW),
        (issue(SECRET, "c1", "b", TICKET), "c1", NOW + GOOD_S + 1),
        (issue(SECRET, "c1", "b", TICKET), "c1", NOW - GOOD_S - 1),
        (issue(SECRET, "c1", "b", TICKET).replace("node.a", "node.x"), "c1", NOW),
        (issue(SECRET, "c1", "b", TICKET)[:-1], "c1", NOW),
        ("", "c1", NOW),
        (":::::", "c1", NOW),
        ("1:x:y", "c1", NOW),
        ("ü" * 1000, "c1", NOW),
        ("\ud800", "c1", NOW),
    ],
)
def test_no_other_is_taken(text: str, call: str, now: float) -> None:
    with pytest.raises(TicketRefused):
        TicketDesk(SECRET, "b").take(text, call, now)


def test_what_was_used_is_remembered_as_long_as_it_could_be_used() -> None:
    desk = TicketDesk(SECRET, "b")
    early = Ticket(NOW + GOOD_S, "n1", "a")  # of a node whose clock is ahead
    text = issue(SECRET, "c1", "b", early)
    desk.take(text, "c1", NOW)
    with pytest.raises(TicketRefused, match="used before"):
        desk.take(text, "c1", NOW + 2 * GOOD_S - 0.1)
