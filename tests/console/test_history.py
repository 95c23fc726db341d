"""``/v1/history``: every filter, pages, one call, export; and what a live call is told there."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import MutableMapping
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.kit import record
from voiceagent.console.history_export import PAGE, defused
from voiceagent.console.models_history import HistoryPage, KeptCallDetail, PageFilters
from voiceagent.records.states import RecordingRecord
from voiceagent.store import Database, history, recordings
from voiceagent.store.history import LineRecord, ResponseRecord

from .fake_directory import FakeDirectory, a_call
from .kit import BEARER, a_client, an_app


@pytest.fixture
def directory() -> FakeDirectory:
    directory = FakeDirectory()
    directory.put_call(a_call())
    return directory


@pytest.fixture
def app(directory: FakeDirectory, store: Database) -> FastAPI:
    return an_app(directory, database=store)


@pytest_asyncio.fixture
async def client(app: FastAPI):
    async with a_client(app, headers=BEARER) as client:
        yield client


async def keep(store: Database, call_id: str, *said: str, **facts: Any) -> None:
    lines = [LineRecord(float(at), "caller", text, text, False) for at, text in enumerate(said)]
    await store.run(lambda c: history.write(c, record(call_id, **facts), lines))


async def ids(client: httpx.AsyncClient, **filters: Any) -> list[str]:
    answer = await client.get("/v1/history", params=filters)
    assert answer.status_code == 200, answer.text
    return [call["id"] for call in HistoryPage.model_validate(answer.json()).model_dump()["calls"]]


async def test_every_filter_keeps_its_calls_and_no_others(client: httpx.AsyncClient, store: Database) -> None:
    await keep(store, "plain", started_at=1000.0)
    odd: dict[str, Any] = {
        "direction": "outbound",
        "caller": "+33777",
        "flow": "sales",
        "trunk": "carrier",
        "outcome": "provider",
        "started_at": 2000.0,
        "duration_s": 600.0,
        "recording": "odd.wav",
    }
    await keep(store, "odd", "a parcel", **odd)
    await store.run(lambda c: history.tag(c, "odd", "vip", by="ann", at=1.0))
    for filters in [
        {"q": "parc"},
        {"number": "3377"},
        {"direction": "outbound"},
        {"flow": "sales"},
        {"trunk": "carrier"},
        {"outcome": "provider"},
        {"tag": "vip"},
        {"since": 1500},
        {"min_duration_s": 100},
        {"recorded": "true"},
    ]:
        assert await ids(client, **filters) == ["odd"], filters
    for filters in [{"until": 1500}, {"recorded": "false"}, {"direction": "inbound"}]:
        assert await ids(client, **filters) == ["plain"], filters
    assert await ids(client) == ["odd", "plain"]
    assert await ids(client, order="oldest") == ["plain", "odd"]
    assert await ids(client, q="parcel", tag="vip", recorded="false") == []


async def test_pages_follow_each_other_and_the_last_has_no_next(
    client: httpx.AsyncClient, store: Database
) -> None:
    for n in range(5):
        await keep(store, f"call_{n}", started_at=1000.0)
    seen: list[str] = []
    after = ""
    while True:
        page = (await client.get("/v1/history", params={"limit": 2, "after": after})).json()
        seen += [call["id"] for call in page["calls"]]
        after = page["next"]
        if not after:
            break
    assert seen == [f"call_{n}" for n in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize(
    ("filters", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 201}, "limit"),
        ({"since": "yesterday"}, "since"),
        ({"since": "nan"}, "since"),
        ({"until": "inf"}, "until"),
        ({"order": "shortest"}, "order"),
        ({"direction": "sideways"}, "direction"),
        ({"recorded": "perhaps"}, "recorded"),
        ({"after": "elsewhere"}, "after"),
        ({"after": "nan~call_1"}, "after"),
        ({"q": " ** "}, "q"),
        ({"number": "\x00"}, "number"),
        ({"from": 3}, "from"),
    ],
)
async def test_a_wrong_filter_is_named_and_never_ignored(
    client: httpx.AsyncClient, filters: dict[str, Any], field: str
) -> None:
    answer = await client.get("/v1/history", params=filters)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


NAMES = list(PageFilters.model_fields)
VALUES = st.text(max_size=40) | st.sampled_from(
    [
        "inbound",
        "true",
        "longest",
        "1",
        "-1e308",
        "1e999",
        "nan",
        '"',
        "'",
        "_",
        "NEAR(a b)",
        "a*",
        "%",
        "\x00",
    ]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(filters=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5))
async def test_whatever_stands_in_the_filters_is_data(
    client: httpx.AsyncClient, filters: dict[str, str]
) -> None:
    answer = await client.get("/v1/history", params=filters)
    assert answer.status_code in (200, 422), answer.text
    if answer.status_code == 422:
        assert answer.json()["field"] in filters


async def test_an_address_with_a_nul_is_nowhere(client: httpx.AsyncClient) -> None:
    for path in ("/v1/history/a%00", "/v1/history/%00/journal", "/v1/calls/%00"):
        assert (await client.get(path)).json()["code"] == "not_found"
    answer = await client.get("/v1/audit", params={"actor": "\x00"})
    assert (answer.status_code, answer.json()["field"]) == (422, "actor")


async def test_one_call_has_what_was_said_and_asked_in_the_shape_of_a_live_one(
    client: httpx.AsyncClient, store: Database
) -> None:
    lines = [LineRecord(0.5, "agent", "Hello", "Hello there", True)]
    ending = {"kind": "completed", "heard_ms": 900}
    asked = [ResponseRecord("req_1", "operator", "Say hi", {"a": "b"}, 1002.5, "completed", "", ending)]
    call = record(
        "call_1",
        figures={"recordings": ["call_1.wav", "b.wav"], "recordings_at": [2.5]},
        recording="call_1.wav",
    )
    await store.run(lambda c: history.write(c, call, lines, asked))
    audio = RecordingRecord(
        file="call_1.wav",
        call_id="call_1",
        name="call_1",
        started_at=1001.0,
        location="s3://b/x",
        state="stored",
    )
    await store.run(lambda c: recordings.put(c, audio))
    answer = await client.get("/v1/history/call_1")
    shown = KeptCallDetail.model_validate(answer.json())
    assert (shown.transcript[0].text, shown.transcript[0].full_text) == ("Hello", "Hello there")
    assert (shown.responses[0].ended, shown.responses[0].outcome) == (True, ending)
    assert shown.recordings == ["call_1.wav", "b.wav"]
    assert shown.recordings_at == [2.5, 0.0]
    assert shown.links["recording"] == "/v1/history/call_1/recording"
    [file] = shown.recording_files
    assert (file.file, file.state, file.started_at) == ("call_1.wav", "stored", 1001.0)
    assert "s3://" not in answer.text, "where it lies is nobody's business"


async def test_a_live_call_is_not_in_the_history_and_the_refusal_says_where_it_is(
    client: httpx.AsyncClient, directory: FakeDirectory
) -> None:
    for path in ("/v1/history/c1", "/v1/history/c1/recording", "/v1/history/c1/journal"):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_in_history")
        assert "/v1/calls/c1" in answer.json()["remedy"]
    directory.end_call("c1", "caller")
    assert "just ended" in (await client.get("/v1/history/c1")).json()["detail"]
    assert (await client.get("/v1/history/none")).json()["code"] == "unknown_call"


async def test_an_export_has_every_page_and_only_what_fits(
    client: httpx.AsyncClient, store: Database
) -> None:
    def many(c: Any) -> None:
        for n in range(PAGE + 3):
            history.write(c, record(f"call_{n:04}", started_at=float(n)))

    await store.run(many)
    await keep(store, "other", flow="=cmd|' /C calc'!A0", started_at=9999.0)
    await store.run(lambda c: history.tag(c, "other", "vip", by="ann", at=1.0))
    answer = await client.get("/v1/history/export", params={"order": "oldest"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="calls.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["id"] for row in rows] == [f"call_{n:04}" for n in range(PAGE + 3)] + ["other"]
    assert (rows[-1]["flow"], rows[-1]["tags"]) == ("'=cmd|' /C calc'!A0", "vip")
    assert rows[0]["caller"] == "'+4930123456"
    told = await client.get("/v1/history/export", params={"format": "json", "since": 100, "until": 700})
    assert [call["id"] for call in told.json()["calls"]] == [f"call_{n:04}" for n in range(PAGE + 2, 99, -1)]
    nothing = await client.get("/v1/history/export", params={"format": "json", "tag": "none"})
    assert nothing.json() == {"calls": []}


async def test_an_export_holds_one_page_at_a_time(app: FastAPI, store: Database) -> None:
    """The second page is asked for when the first has gone out."""
    asked: list[str] = []
    find = history.find

    def seen(connection: Any, query: Any) -> Any:
        asked.append(query.after)
        assert query.limit == PAGE
        return find(connection, query)

    def many(c: Any) -> None:
        for n in range(2 * PAGE + 1):
            history.write(c, record(f"call_{n:04}", started_at=float(n)))

    await store.run(many)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "find", seen)
        sent: list[tuple[int, int]] = []

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.body" and message["body"]:
                sent.append((len(asked), message["body"].count(b"\n")))

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "method": "GET",
            "path": "/v1/history/export",
            "raw_path": b"/v1/history/export",
            "query_string": b"",
            "headers": [(b"host", b"localhost"), (b"authorization", BEARER["Authorization"].encode())],
            "client": ("127.0.0.1", 1),
        }
        await app(scope, receive, send)
    assert sent == [(1, 1), (1, PAGE), (2, PAGE), (3, 1)]


async def test_a_refused_export_has_not_begun(client: httpx.AsyncClient, store: Database) -> None:
    answer = await client.get("/v1/history/export", params={"q": "**"})
    assert (answer.status_code, answer.json()["field"]) == (422, "q")
    await store.close()
    answer = await client.get("/v1/history/export")
    assert (answer.status_code, answer.json()["code"]) == (503, "database_down")


@pytest.mark.parametrize(
    "cell", ["=1+1", "+49", "-1", "@sum", " =1", "\t=1", "\r=1", "\ufeff=1"[1:], "＝1", "＋1"]
)
def test_formulas_are_defused(cell: str) -> None:
    safe = defused(cell)
    assert safe.startswith("'")
    assert safe.replace("'", "") == cell


@pytest.mark.parametrize("cell", ["late; =1+1", "a;@b", "a\t=1", "a\n+1", "a;\u00a0-1", "a;=1;=2"])
def test_formulas_are_defused_where_a_semicolon_separates_cells(cell: str) -> None:
    for part in re.split(r"[;\t\n]", defused(cell))[1:]:
        assert part.lstrip().startswith("'")


@given(st.text(max_size=30) | st.text("=+-@; \t\n\r'a", max_size=12))
def test_a_cell_never_begins_like_a_formula_and_loses_nothing(cell: str) -> None:
    safe = defused(cell)
    for part in re.split(r"[;\t\r\n]", safe):
        assert not part.lstrip().startswith(("=", "+", "-", "@"))
    assert safe.replace("'", "") == cell.replace("'", "")
