"""Listening over the API: who may, what comes down, and how it ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from voiceagent.console import listening
from voiceagent.console.app import close_streams
from voiceagent.console.rights import Role
from voiceagent.errors import RequestRefused
from voiceagent.store import Database, audit, users

from .fake_directory import FakeDirectory, a_call
from .kit import BEARER, PATIENCE_S, VIEWER, a_client, an_app
from .socket_kit import Socket, socket

PATH = "/v1/calls/c1/listen"
FRAME = b"\x00" + bytes(4) + b"\x7f" * 160


def a_directory() -> FakeDirectory:
    directory = FakeDirectory()
    directory.put_call(a_call())
    return directory


async def handshake(app: Any, path: str = PATH, **headers: str) -> Socket:
    async with socket(app, path, headers=headers or BEARER) as ws:
        return ws


async def test_frames_and_states_come_down_in_order_and_who_listens_is_shown() -> None:
    directory = a_directory()
    async with socket(an_app(directory), PATH, headers=BEARER) as ws:
        assert ws.status == 101
        [listener] = directory.listened
        assert directory.call("c1").listeners == [{"name": "console.token via api", "since": 5.0}]
        listener.put({"muted": False, "you": "1"})
        listener.put(FRAME)
        assert await ws.next() == {"type": "state", "muted": False, "you": "1"}
        assert await ws.next() == FRAME
        listener.end("call_ended")
        assert await ws.closed() == (1000, "call_ended")


async def test_whoever_goes_is_no_longer_shown() -> None:
    directory = a_directory()
    app = an_app(directory)
    async with socket(app, PATH, headers=BEARER), socket(app, PATH, headers=BEARER) as second:
        assert len(directory.call("c1").listeners) == 2
        second.leave()
        await asyncio.wait_for(directory.listened[1].over.wait(), PATIENCE_S)
        assert len(directory.call("c1").listeners) == 1
    assert directory.call("c1").listeners == []
    assert len(app.state.parts.listeners) == 0


async def test_an_unknown_an_ended_and_an_unfit_call_are_refused_with_the_problem() -> None:
    directory = a_directory()
    app = an_app(directory)
    ws = await handshake(app, "/v1/calls/none/listen")
    assert (ws.status, ws.problem["code"]) == (404, "unknown_call")
    directory.refuse = RequestRefused("listen", "this call (hosted) does not", code="not_supported")
    ws = await handshake(app)
    assert (ws.status, ws.problem["code"]) == (409, "not_supported")
    directory.refuse = None
    directory.end_call("c1", "caller_hung_up")
    ws = await handshake(app)
    assert (ws.status, ws.problem["code"]) == (409, "call_ended")
    assert directory.listened == []


async def test_a_viewer_may_not_and_neither_may_a_foreign_page() -> None:
    directory = a_directory()
    app = an_app(directory)
    ws = await handshake(app, Authorization=f"Bearer {VIEWER}")
    assert (ws.status, ws.problem["needs"]) == (403, "listen")
    ws = await handshake(app, **BEARER, Origin="https://evil.example")
    assert (ws.status, ws.problem["code"]) == (403, "foreign_origin")
    assert (await handshake(app, Authorization="Bearer nonsense-nonsense")).status == 401
    assert (await handshake(app, **BEARER, host="evil.example")).status == 421
    assert directory.listened == []


async def test_what_is_sent_up_unasked_closes_the_socket() -> None:
    directory = a_directory()
    for item in ("hello", b"\x00" * 17):
        async with socket(an_app(directory), PATH, headers=BEARER) as ws:
            ws.say(item)
            assert (await ws.closed())[0] == 1003
    assert all(one.ended == "left" for one in directory.listened)


async def test_the_microphone_goes_up_the_same_socket() -> None:
    directory = a_directory()
    async with socket(an_app(directory), PATH, headers=BEARER) as ws:
        for number in range(3):
            ws.say(bytes((number,)) * 160)
        ws.leave()
        [listener] = directory.listened
        await asyncio.wait_for(listener.over.wait(), PATIENCE_S)
        assert [frame[0] for frame in listener.voiced] == [0, 1, 2]


async def test_frames_that_come_faster_than_sound_close_the_socket() -> None:
    directory = a_directory()
    async with socket(an_app(directory), PATH, headers=BEARER) as ws:
        for _ in range(600):
            ws.say(b"\xff" * 160)
        assert await ws.closed() == (1003, "faster than sound")
    assert len(directory.listened[0].voiced) <= 500


async def test_taking_over_and_handing_back_are_acts_with_their_refusals(store: Database) -> None:
    directory = a_directory()
    app = an_app(directory, database=store)
    actions = "/v1/calls/c1/actions"
    async with a_client(app, headers=BEARER) as client:
        taken = await client.post(f"{actions}/take_over", json={})
        assert (taken.status_code, taken.json()["taken_over_by"]) == (200, "console.token via api")
        back = await client.post(f"{actions}/hand_back", json={})
        assert (back.status_code, back.json()["taken_over_by"]) == (200, "")
        for code in ("listen_first", "taken_over", "secret", "in_queue", "not_supported"):
            directory.refuse = RequestRefused("call", "cannot be had", code=code)
            refused = await client.post(f"{actions}/take_over", json={})
            assert (refused.status_code, refused.json()["code"]) == (409, code)
            assert refused.json()["title"] != "Refused"
    async with a_client(app, headers={"Authorization": f"Bearer {VIEWER}"}) as client:
        assert (await client.post(f"{actions}/take_over", json={})).status_code == 403
    assert [act.what for _, act, _ in directory.acts] == ["take_over", "hand_back"]


async def test_a_slow_reader_holds_nobody_up_and_can_still_be_ended() -> None:
    directory = a_directory()
    app = an_app(directory)
    async with socket(app, PATH, headers=BEARER) as slow, socket(app, PATH, headers=BEARER) as quick:
        slow.flowing.clear()
        for _ in range(500):
            directory.listened[0].put(FRAME)
        directory.listened[1].put(FRAME)
        assert await quick.next() == FRAME
        slow.leave()
        await asyncio.wait_for(directory.listened[0].over.wait(), PATIENCE_S)
        assert directory.listened[0].ended == "left"


async def test_there_is_a_most_of_them() -> None:
    directory = a_directory()
    app = an_app(directory, max_listeners=1)
    async with socket(app, PATH, headers=BEARER):
        ws = await handshake(app)
        assert (ws.status, ws.problem["code"]) == (503, "too_many_listeners")
    assert (await handshake(app)).status == 101


async def test_the_closing_console_ends_them_and_takes_no_more() -> None:
    app = an_app(a_directory())
    async with socket(app, PATH, headers=BEARER) as ws:
        close_streams(app)
        assert await ws.closed() == (1012, "closing")
    ws = await handshake(app)
    assert (ws.status, ws.problem["code"]) == (503, "shutting_down")


async def test_one_whose_key_is_revoked_hears_no_more(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "LOOK_S", 0.01)
    directory = a_directory()
    app = an_app(directory, database=store, heartbeat_s=1e6)
    identity = app.state.parts.identity
    key, secret = await identity.change(
        lambda c: users.add_key(c, "ear", Role.SUPERVISOR.value, created_by="root")
    )
    async with socket(app, PATH, headers={"Authorization": f"Bearer {secret}"}) as ws:
        assert ws.status == 101
        await identity.change(lambda c: users.revoke_key(c, key.id))
        assert await ws.closed() == (1008, "signed_out")
    assert directory.listened[0].ended == "left"


async def test_listening_is_audited_from_beginning_to_end(store: Database) -> None:
    app = an_app(a_directory(), database=store)
    async with socket(app, PATH, headers=BEARER):
        pass
    writing = asyncio.create_task(app.state.parts.audit.run())
    assert await app.state.parts.audit.flush(PATIENCE_S)
    writing.cancel()
    lines = await store.run(lambda c: audit.read(c))
    told = sorted((line.action, line.target, line.actor) for line in lines)
    assert told == [("call.listen", "c1", "console.token"), ("call.listen_ended", "c1", "console.token")]


@pytest.mark.parametrize("path", ["/v1/events", "/v1/calls", "/nothing"])
async def test_no_other_address_is_a_socket(path: str) -> None:
    assert (await handshake(an_app(a_directory()), path)).status != 101
