"""Whatever is posted, the answer is a 202 or a refusal that names a field; never our failure."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from .fake_directory import FakeDirectory, a_call
from .kit import BEARER, a_client, an_app

TEXT = st.text(max_size=40) | st.sampled_from(["now", "idle", "\ud800", "\x00", "va.req", "x" * 600])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
FIELDS = st.sampled_from(["instructions", "metadata", "when", "deadline_ms", "coalesce"]) | TEXT
BODIES = st.dictionaries(FIELDS, VALUES, max_size=5) | VALUES


@cache
def _console() -> tuple[FakeDirectory, FastAPI]:
    directory = FakeDirectory()
    return directory, an_app(directory, triggers_per_s=1e9)


def a_console() -> tuple[FakeDirectory, FastAPI]:
    """Return one console for all examples, with a fresh call in it."""
    directory, app = _console()
    directory.spoken.clear()
    directory.put_call(a_call())
    return directory, app


@settings(max_examples=100, deadline=None)
@given(body=BODIES)
async def test_any_json_is_taken_or_refused(body: Any) -> None:
    directory, app = a_console()
    async with a_client(app, headers=BEARER) as client:
        answer = await client.post(
            "/v1/calls/c1/responses", content=json.dumps(body), headers={"Content-Type": "application/json"}
        )
    assert answer.status_code in (202, 422)
    assert bool(directory.spoken) is (answer.status_code == 202)
    if answer.status_code == 422:
        assert answer.json()["field"] is not None
    else:
        wish = directory.spoken[0][1]
        assert json.dumps([wish.instructions, dict(wish.metadata), wish.coalesce]).encode("utf-8")


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=200))
async def test_any_bytes_are_taken_or_refused(content: bytes) -> None:
    _, app = a_console()
    async with a_client(app, headers=BEARER) as client:
        answer = await client.post(
            "/v1/calls/c1/responses", content=content, headers={"Content-Type": "application/json"}
        )
    assert answer.status_code in (202, 400, 422)
    if answer.status_code != 202:
        assert answer.headers["content-type"] == "application/problem+json"
