"""Every filter of the history, alone and together, against the same filter in Python."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from tests.store.kit import record
from voiceagent.store import Database, history, tables
from voiceagent.store.history import CallQuery, CallRecord, LineRecord

WORDS = ["parcel", "parcels", "late", "Straße", "o'clock", "refund"]
NUMBERS = ["+4930123", "+33777", "100", "10%", "1_0", "sip:a"]
NAMES = ["desk", "sales", "carrier", ""]


@dataclass(frozen=True)
class Kept:
    """A call, what was said in it, and its tags."""

    call: CallRecord
    said: Sequence[str]
    tags: Sequence[str]


@st.composite
def calls(draw: st.DrawFn) -> list[Kept]:
    def one(n: int) -> Kept:
        call = record(
            f"call_{n}",
            direction=draw(st.sampled_from(["inbound", "outbound"])),
            caller=draw(st.sampled_from(NUMBERS)),
            called=draw(st.sampled_from(NUMBERS)),
            flow=draw(st.sampled_from(NAMES)),
            trunk=draw(st.sampled_from(NAMES)),
            outcome=draw(st.sampled_from(["success", "caller", "provider"])),
            started_at=float(draw(st.integers(0, 5))),
            duration_s=float(draw(st.integers(0, 5))),
            recording=draw(st.sampled_from(["", "a.wav"])),
        )
        said = draw(st.lists(st.sampled_from(WORDS), max_size=3))
        return Kept(call, said, draw(st.lists(st.sampled_from(["vip", "refund"]), unique=True)))

    return [one(n) for n in range(draw(st.integers(3, 6)))]


FILTERS: dict[str, st.SearchStrategy[Any]] = {
    "words": st.lists(st.sampled_from([*WORDS, "parc", "vi"]), min_size=1, max_size=2).map(" ".join),
    "number": st.sampled_from([*NUMBERS, "1", "%", "_", "77"]),
    "direction": st.sampled_from(["inbound", "outbound"]),
    "flow": st.sampled_from(NAMES),
    "trunk": st.sampled_from(NAMES),
    "outcome": st.sampled_from(["success", "caller", "none"]),
    "tag": st.sampled_from(["vip", "refund", "vi"]),
    "since": st.integers(0, 5).map(float),
    "until": st.integers(0, 5).map(float),
    "min_duration_s": st.integers(0, 5).map(float),
    "recorded": st.booleans(),
}


ORDERS = ["newest", "oldest", "longest"]


def fits(kept: Kept, query: CallQuery) -> bool:
    """What :class:`CallQuery` says, in Python."""
    call = kept.call
    known = [call.caller, call.called, call.flow, *kept.tags, *kept.said]
    words = [word.lower() for text in known for word in text.replace("'", " ").split()]
    wanted = query.words.lower().replace("'", " ").split()
    return (
        all(any(word.startswith(part) for word in words) for part in wanted)
        and (query.number in call.caller or query.number in call.called)
        and query.direction in ("", call.direction)
        and query.flow in ("", call.flow)
        and query.trunk in ("", call.trunk)
        and query.outcome in ("", call.outcome)
        and (not query.tag or query.tag in kept.tags)
        and (query.since is None or call.started_at >= query.since)
        and (query.until is None or call.started_at < query.until)
        and (query.min_duration_s is None or call.duration_s >= query.min_duration_s)
        and (query.recorded is None or bool(call.recording) is query.recorded)
    )


def in_order(kept: Kept, query: CallQuery) -> tuple[float, str]:
    call = kept.call
    return (call.duration_s if query.order == "longest" else call.started_at, call.id)


@pytest.fixture(scope="module")
def shared() -> Iterator[Database]:
    """One database for all examples: making one takes longer than an example."""
    database = Database("sqlite://")
    database.open_now()
    yield database
    database.close_now()


def fill(c: Connection, kept: Sequence[Kept]) -> None:
    """Have these calls in the database, and no others."""
    for table in (tables.tags, tables.lines, tables.responses, tables.calls):
        c.execute(table.delete())
    c.execute(text("DELETE FROM call_text"))
    for one in kept:
        history.write(c, one.call, [LineRecord(0.0, "caller", said, said, False) for said in one.said])
        for tag in one.tags:
            history.tag(c, one.call.id, tag, by="", at=1.0)


@pytest.mark.parametrize("name", FILTERS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_filter_finds_exactly_what_it_says(shared: Database, name: str, data: st.DataObject) -> None:
    kept = data.draw(calls())
    size = data.draw(st.integers(1, 4))
    asked: dict[str, Any] = {name: data.draw(FILTERS[name]), "order": data.draw(st.sampled_from(ORDERS))}
    other = data.draw(st.none() | st.sampled_from(sorted(FILTERS)))
    if other is not None:
        asked[other] = data.draw(FILTERS[other])
    query = CallQuery(**asked)
    wanted = sorted(
        (one for one in kept if fits(one, query)),
        key=lambda one: in_order(one, query),
        reverse=query.order != "oldest",
    )
    shared.run_now(lambda c: fill(c, kept))
    found: list[str] = []
    after = ""
    while True:
        page = shared.run_now(
            lambda c, after=after: history.find(c, CallQuery(**asked, limit=size, after=after))
        )
        found += [one.call.id for one in page.calls]
        after = page.next
        if not after:
            break
    assert found == [one.call.id for one in wanted]
