"""Ended calls are found by what was said, by filters and tags, page after page."""

from __future__ import annotations

import re
from contextlib import nullcontext

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.kit.collector import left_to_the_collector, no_collector
from tests.store.kit import record
from voiceagent.errors import RequestRefused
from voiceagent.store import Database, history
from voiceagent.store.history import CallQuery, LineRecord, ResponseRecord, TagRecord

__all__ = ["no_collector"]


def said(*texts: str) -> list[LineRecord]:
    return [LineRecord(float(at), "caller", text, text, False) for at, text in enumerate(texts)]


def ids(database: Database, **query: object) -> list[str]:
    page = database.run_now(lambda c: history.find(c, CallQuery(**query)))  # type: ignore[arg-type]
    return [found.call.id for found in page.calls]


def test_a_call_comes_back_as_it_was_written(database: Database) -> None:
    call = record(
        "call_1", figures={"lost": 2.0, "codec": "PCMU"}, recording="call_1.wav", first_words_ms=212.5
    )
    lines = [LineRecord(0.5, "agent", "Hello", "Hello there", True)]
    asked = [
        ResponseRecord("req_1", "operator", "Say hi", {"a": "b"}, 1002.5, "played", "", {"kind": "completed"})
    ]
    database.run_now(lambda c: history.write(c, call, lines, asked))
    found = database.run_now(lambda c: history.one(c, "call_1"))
    assert found is not None
    assert found.call == call
    assert database.run_now(lambda c: history.lines_of(c, "call_1")) == lines
    assert database.run_now(lambda c: history.responses_of(c, "call_1")) == asked
    assert database.run_now(lambda c: history.one(c, "call_2")) is None


def test_written_again_it_replaces_what_stood_there(database: Database) -> None:
    database.run_now(lambda c: history.write(c, record("call_1"), said("apples", "pears")))
    database.run_now(lambda c: history.write(c, record("call_1", reason="rebuilt"), said("plums")))
    assert ids(database) == ["call_1"]
    assert ids(database, words="apples") == []
    assert ids(database, words="plums") == ["call_1"]


@pytest.mark.usefixtures("no_collector")
def test_a_call_that_was_written_leaves_nothing_to_the_collector(database: Database) -> None:
    def write(call_id: str) -> None:
        asked = [ResponseRecord("req_1", "operator", "Say hi", {}, 1002.5, "played", "", None)]
        marks = [TagRecord("late", 1003.0, "operator")]
        database.run_now(lambda c: history.write(c, record(call_id), said("apples"), asked, marks))

    write("call_1")
    write("call_2")  # the first one fills caches
    left_to_the_collector()
    write("call_3")
    assert not left_to_the_collector()


def test_every_word_must_have_been_said_and_a_beginning_is_enough(database: Database) -> None:
    database.run_now(lambda c: history.write(c, record("call_1"), said("My parcel is late", "Straße, café")))
    database.run_now(lambda c: history.write(c, record("call_2"), said("My invoice is wrong")))
    assert ids(database, words="parcel") == ["call_1"]
    assert ids(database, words="my IS") == ["call_2", "call_1"]
    assert ids(database, words="parc late") == ["call_1"]
    assert ids(database, words="parcel wrong") == []
    assert ids(database, words="cafe") == ["call_1"], "accents do not matter"
    assert ids(database, words="+4930123456") == ["call_2", "call_1"], "a number is a word too"


def test_text_that_no_database_keeps_is_kept_as_far_as_it_can_be(database: Database) -> None:
    odd = record("call_1", caller="a\0b", fault="half \ud800")
    asked = [ResponseRecord("r", "ivr", "say \0", {"k": "\0"}, 1.0, "lost", "\ud800", {"text": "\0"})]
    database.run_now(lambda c: history.write(c, odd, said("x\0y \udfff z"), asked))
    [line] = database.run_now(lambda c: history.lines_of(c, "call_1"))
    assert line.text == "x\ufffdy ? z"
    assert ids(database, number="a\0b") == ["call_1"]
    [response] = database.run_now(lambda c: history.responses_of(c, "call_1"))
    assert response.outcome == {"text": "\0"}


def test_filters_hold_together(database: Database) -> None:
    database.run_now(lambda c: history.write(c, record("call_1", started_at=10.0)))
    database.run_now(
        lambda c: history.write(
            c,
            record(
                "call_2", started_at=20.0, outcome="provider", caller="+33", recording="r.wav", duration_s=5.0
            ),
        )
    )
    assert ids(database, outcome="provider") == ["call_2"]
    assert ids(database, number="30123") == ["call_1"]
    assert ids(database, number="%") == [], "a wildcard is a character here"
    assert ids(database, since=10.0, until=20.0) == ["call_1"]
    assert ids(database, recorded=True) == ["call_2"]
    assert ids(database, recorded=False) == ["call_1"]
    assert ids(database, min_duration_s=6.0) == ["call_1"]
    assert ids(database, outcome="provider", number="30123") == []


@pytest.mark.parametrize("order", ["newest", "oldest", "longest"])
def test_pages_show_every_call_once(database: Database, order: str) -> None:
    for n in range(23):
        # Calls that began in the same moment and lasted as long must not be lost between two pages.
        call = record(f"call_{n:02}", started_at=float(n // 5), duration_s=float(n % 3))
        database.run_now(lambda c, call=call: history.write(c, call))
    seen: list[str] = []
    after = ""
    while True:
        query = CallQuery(order=order, limit=4, after=after)  # type: ignore[arg-type]
        page = database.run_now(lambda c, query=query: history.find(c, query))
        seen += [found.call.id for found in page.calls]
        after = page.next
        if not after:
            break
    assert sorted(seen) == [f"call_{n:02}" for n in range(23)]
    assert len(seen) == 23
    whole = database.run_now(
        lambda c: [found.call.id for found in history.every(c, CallQuery(order=order), most=100)]  # type: ignore[arg-type]
    )
    assert whole == seen
    assert len(database.run_now(lambda c: list(history.every(c, CallQuery(), most=7)))) == 7


def test_tags_of_live_and_ended_calls(database: Database) -> None:
    tag = history.tag
    assert database.run_now(lambda c: tag(c, "call_1", "vip", by="ann", at=1.0)) == ["vip"]
    database.run_now(lambda c: history.write(c, record("call_1"), said("hello")))
    assert ids(database, tag="vip") == ["call_1"]
    assert ids(database, words="vip hello") == ["call_1"], "tags of the live call are found by words as well"
    database.run_now(lambda c: tag(c, "call_1", "refund", by="ben", at=2.0))
    assert database.run_now(lambda c: tag(c, "call_1", "vip", by="ben", at=3.0)) == ["vip", "refund"]
    assert ids(database, words="refund") == ["call_1"]
    assert database.run_now(lambda c: history.untag(c, "call_1", "vip")) == ["refund"]
    assert ids(database, tag="vip") == []
    assert ids(database, words="vip") == []


def test_a_foreign_cursor_is_refused_by_name(database: Database) -> None:
    with pytest.raises(RequestRefused) as refused:
        ids(database, after="elsewhere")
    assert refused.value.field == "after"
    with pytest.raises(RequestRefused) as refused:
        ids(database, words=' "*" ')
    assert refused.value.field == "q"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=40), st.text(max_size=20))
def test_whatever_is_typed_is_data(database: Database, words: str, number: str) -> None:
    nothing_to_find = words.strip() and not re.search(r"\w", words)
    with pytest.raises(RequestRefused, match=r"^q:") if nothing_to_find else nullcontext():
        ids(database, words=words, number=number)
