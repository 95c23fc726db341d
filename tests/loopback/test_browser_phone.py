"""A browser calls a whole service: words, keys, captions, limits, and the end from either side."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.kit.browser_peer import BrowserPeer, browser_peer
from tests.kit.service import operator, service, until
from tests.media.tone_meter import share_of_tone
from voiceagent.app.service import Service
from voiceagent.cli.replay import run_replay
from voiceagent.loops import run_loop
from voiceagent.media import g711
from voiceagent.records.journal import read_journal

pytestmark = pytest.mark.loopback

FLOW = """
from voiceagent.ivr import Call, Digits, flow

@flow("keys", numbers=["100"])
async def keys(call: Call) -> None:
    await call.say("One two three four five.")
    found = await call.collect("Which number?", str, digits=Digits(2))
    if found is not None:
        await call.say(f"You pressed {found}.")

@flow("talker", numbers=["*"])
async def talker(call: Call) -> None:
    while True:
        await call.say("One two three four five.")
"""


@pytest.fixture
def flows(tmp_path: Path) -> list[str]:
    path = tmp_path / "flows.py"
    path.write_text(FLOW, encoding="utf-8")
    return [str(path)]


@asynccontextmanager
async def calling(client: httpx.AsyncClient, **wish: Any) -> AsyncIterator[tuple[BrowserPeer, str]]:
    async with browser_peer(hertz=0) as browser:
        answer = await client.post("/v1/phone", json={"sdp": await browser.offer(), **wish})
        assert answer.status_code == 201, answer.text
        await browser.answered(answer.json()["sdp"])
        yield browser, answer.json()["call_id"]


def spoken(browser: BrowserPeer) -> list[bytes]:
    return [one for one in browser.heard if one != b"\xff" * 160]


async def test_the_agent_is_heard_keys_reach_the_flow_and_the_page_reads_along(
    tmp_path: Path, flows: list[str]
) -> None:
    async with service(tmp_path, flows=flows) as running, operator(running) as client:
        async with calling(client, to="100") as (browser, call_id):
            await browser.until(lambda: len(spoken(browser)) >= 20)
            assert share_of_tone(g711.linear(b"".join(spoken(browser)[:20]), "ulaw"), 440) > 0.9
            view = (await client.get(f"/v1/calls/{call_id}")).json()
            assert (view["kind"], view["caller"], view["called"], view["flow"]) == (
                "browser",
                "first run",
                "100",
                "keys",
            )
            assert {"hold", "send_digits"} <= {*view["abilities"]}
            asked = await client.post(
                f"/v1/calls/{call_id}/actions/transfer", json={"target": "sip:a@b", "attended": False}
            )
            assert (asked.status_code, asked.json()["code"]) == (409, "not_supported")
            await browser.until(lambda: captions(browser, "Which number?"))
            for digit in "42":
                browser.say(type="digit", digit=digit)
            await browser.until(lambda: captions(browser, "You pressed 42."))
            await browser.until(lambda: browser.told[-1]["type"] == "ended")
            assert {one["state"] for one in browser.told if one["type"] == "call"} >= {"talking", "closing"}
        await until(lambda: running.admission.live == 0)
        view = (await client.get(f"/v1/calls/{call_id}")).json()
        assert view["outcome"]["kind"] == "success"
    entries = [entry["type"] for entry in read_journal(tmp_path / "journals" / f"{call_id}.jsonl")]
    assert "operator.phone" in entries


def captions(browser: BrowserPeer, text: str) -> bool:
    return any(one["type"] == "caption" and text in one["text"] for one in browser.told)


async def test_either_side_hangs_up(tmp_path: Path, flows: list[str]) -> None:
    async with service(tmp_path, flows=flows) as running, operator(running) as client:
        async with calling(client) as (browser, call_id):
            await browser.until(lambda: len(spoken(browser)) >= 5)
            assert (await client.post(f"/v1/calls/{call_id}/actions/hangup")).status_code == 200
            await browser.until(lambda: browser.told and browser.told[-1]["type"] == "ended")
        async with calling(client) as (browser, call_id):
            await browser.until(lambda: len(spoken(browser)) >= 5)
            browser.say(type="hangup")
            await until(lambda: running.admission.live == 0)
            view = (await client.get(f"/v1/calls/{call_id}")).json()
            assert view["outcome"]["reason"] == "caller_hung_up"
        async with calling(client) as (browser, call_id):
            await browser.until(lambda: len(spoken(browser)) >= 5)
        await until(lambda: running.admission.live == 0)
        view = (await client.get(f"/v1/calls/{call_id}")).json()
        assert view["outcome"]["reason"] == "caller_hung_up"
        assert len(running.wheel or ()) == 0


async def test_a_user_has_two_calls_a_node_its_places_and_a_refused_offer_takes_none(
    tmp_path: Path, flows: list[str]
) -> None:
    async with service(tmp_path, flows=flows, call__max_calls=3) as running, operator(running) as client:
        async with calling(client) as (one, _), calling(client) as (two, _):
            await one.until(lambda: one.heard)
            await two.until(lambda: two.heard)
            answer = await client.post("/v1/phone", json={"sdp": "v=0"})
            assert (answer.status_code, answer.json()["code"]) == (429, "phone_limit")
        await until(lambda: running.admission.live == 0)
        for _ in range(3):
            answer = await client.post("/v1/phone", json={"sdp": "v=0"})
            assert (answer.status_code, answer.json()["field"]) == (422, "sdp")
        async with browser_peer(hertz=0) as browser:
            offer = await browser.offer()
            named = await client.post("/v1/phone", json={"sdp": offer, "flow": "nobody"})
            assert (named.status_code, named.json()["code"]) == (404, "unknown_flow")
            running.admission.draining = True
            refused = await client.post("/v1/phone", json={"sdp": offer})
            assert (refused.status_code, refused.json()["code"]) == (503, "draining")
            assert int(refused.headers["retry-after"]) >= 1
            running.admission.draining = False
        async with calling(client, flow="talker") as (browser, _):
            await browser.until(lambda: browser.heard)
        await until(lambda: running.admission.live == 0)


def test_a_call_from_a_browser_is_decided_the_same_again(
    tmp_path: Path, flows: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    async def press_one_and_leave() -> None:
        async with service(tmp_path, flows=flows) as running, operator(running) as client:
            async with calling(client, to="100") as (browser, _):
                await browser.until(lambda: len(spoken(browser)) >= 10)
                browser.say(type="digit", digit="4")
                await browser.until(lambda: captions(browser, "Which number?"))
                browser.say(type="hangup")
            await until(lambda: running.admission.live == 0)

    run_loop(press_one_and_leave)
    capsys.readouterr()
    run_replay([tmp_path / "journals"], flows=[Path(flows[0])], tolerance_ms=2000, as_json=False)
    assert "all as they were" in capsys.readouterr().out


async def test_a_stopping_service_tells_the_page(tmp_path: Path, flows: list[str]) -> None:
    async with browser_peer(hertz=0) as browser:
        async with service(tmp_path, flows=flows) as running, operator(running) as client:
            answer = await client.post("/v1/phone", json={"sdp": await browser.offer()})
            await browser.answered(answer.json()["sdp"])
            await browser.until(lambda: len(spoken(browser)) >= 5)
        await browser.until(lambda: browser.told[-1] == {"type": "ended", "reason": "shut_down"})


async def test_until_somebody_calls_nothing_of_it_is_imported() -> None:
    code = "import sys, voiceagent.app.service as s; sys.exit(bool({'aiortc', 'av'} & set(sys.modules)))"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await process.wait() == 0


async def test_without_aiortc_the_service_says_what_is_missing(
    tmp_path: Path, flows: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with browser_peer(hertz=0) as browser:
        offer = await browser.offer()
        monkeypatch.setitem(sys.modules, "voiceagent.media.webrtc_peer", None)
        async with service(tmp_path, flows=flows) as running, operator(running) as client:
            assert isinstance(running, Service)
            answer = await client.post("/v1/phone", json={"sdp": offer})
            assert (answer.status_code, answer.json()["code"]) == (501, "webrtc_missing")
