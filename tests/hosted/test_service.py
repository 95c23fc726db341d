"""The whole service with a provider that takes the call itself: SIP, webhook, REST, control socket, audio."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.kit.service import operator, service, until
from voiceagent.app.service import Service
from voiceagent.errors import ConfigError, SipError
from voiceagent.phone.phone import Phone
from voiceagent.realtime.sip_attach import OpenAIRealtimeSIPModel
from voiceagent.realtime.webhook_signature import webhook_signature
from voiceagent.records.journal import read_journal
from voiceagent.replay.check import check_journal
from voiceagent.settings import load_settings

pytestmark = pytest.mark.loopback

SECRET = "whsec_" + base64.b64encode(b"a secret of this test, 32 bytes!").decode()

FLOW = """
import asyncio
from voiceagent.ivr import Call, Digits, flow

@flow("line", numbers=["100"])
async def line(call: Call) -> None:
    await call.say("Hello and welcome to this line.")
    await call.collect("Ask for the code.", digits=Digits(4), no_input_s=30)
    await call.hangup("Bye.")

@flow("sleeper", numbers=["200"])
async def sleeper(call: Call) -> None:
    await call.say("Hi.")
    await asyncio.Event().wait()
"""


@pytest.fixture
def flows(tmp_path: Path) -> list[str]:
    path = tmp_path / "flows.py"
    path.write_text(FLOW, encoding="utf-8")
    return [str(path)]


def hosted(tmp_path: Path, flows: list[str], **settings: Any) -> Any:
    return service(tmp_path, flows=flows, hosted__webhook_secrets=[SECRET], **settings)


def entries_of(tmp_path: Path) -> list[Mapping[str, Any]]:
    return list(read_journal(next((tmp_path / "journals").glob("*.jsonl"))))


async def test_a_hosted_call_is_a_call_like_any_other(tmp_path: Path, flows: list[str]) -> None:
    async with hosted(tmp_path, flows) as running, Phone() as phone:
        call = phone.dial(f"sip:100@{running.addresses.hosted_sip}")
        await call.answered()
        await call.until_answered_in_words()
        await call.press("4711")
        ended = await call.over(45)
        await until(lambda: not running.directory.live)
        view = running.directory.calls()[0]
        metrics = running.metrics.render()
    assert ended.by == "peer"
    assert view.outcome is not None
    assert (view.kind, view.outcome["kind"], view.outcome["reason"]) == ("hosted", "success", "completed")
    entries = entries_of(tmp_path)
    assert "".join(entry["digit"] for entry in entries if entry["type"] == "caller.digit") == "4711"
    spoken = [entry["outcome"] for entry in entries if entry["type"] == "response.ended"]
    assert spoken[0]["kind"] == "completed"
    assert spoken[0]["heard_ms"] > 500
    assert spoken[-1]["kind"] == "completed", "the goodbye is heard before the hang-up"
    assert entries[-1]["type"] == "call.ended"
    assert "voiceagent_webhook_accept_seconds_count 1.0" in metrics
    proof = check_journal(next((tmp_path / "journals").glob("*.jsonl")))
    assert proof.ok, proof.violations


async def test_a_lost_control_socket_is_opened_again_while_the_caller_hears_on(
    tmp_path: Path, flows: list[str]
) -> None:
    async with hosted(tmp_path, flows) as running, Phone() as phone:
        call = phone.dial(f"sip:100@{running.addresses.hosted_sip}")
        await call.answered()
        await call.until_speaking()
        session = running.directory.live[0].session
        assert session is not None
        model = session.model
        assert isinstance(model, OpenAIRealtimeSIPModel)
        transport = model.link._transport
        assert transport is not None
        transport.close(1001, "going")
        await until(lambda: model.link.up and model.link._transport is not transport)
        await call.until_answered_in_words()
        await call.press("4711")
        await call.over(45)
        await until(lambda: not running.directory.live)
        outcome = running.directory.calls()[0].outcome
    assert outcome is not None
    assert (outcome["kind"], outcome["reason"]) == ("success", "completed")
    entries = entries_of(tmp_path)
    assert [entry["body"].get("quiet") for entry in entries if entry.get("event") == "LinkUp"][1:] == [True]
    proof = check_journal(next((tmp_path / "journals").glob("*.jsonl")))
    assert proof.ok, proof.violations


async def test_the_caller_hangs_up(tmp_path: Path, flows: list[str]) -> None:
    async with hosted(tmp_path, flows) as running, Phone() as phone:
        call = phone.dial(f"sip:200@{running.addresses.hosted_sip}")
        await call.answered()
        await call.until_speaking()
        call.hang_up()
        await until(lambda: not running.directory.live)
        view = running.directory.calls()[0]
    assert view.outcome is not None
    assert (view.outcome["kind"], view.outcome["reason"]) == ("success", "caller_hung_up")
    assert not [entry for entry in entries_of(tmp_path) if entry["type"] == "provider.lost"]


async def test_an_operator_speaks_and_hangs_up(tmp_path: Path, flows: list[str]) -> None:
    async with hosted(tmp_path, flows) as running, Phone() as phone, operator(running) as console:
        call = phone.dial(f"sip:200@{running.addresses.hosted_sip}")
        await call.answered()
        await until(lambda: running.directory.live and running.directory.live[0].state == "talking")
        call_id = running.directory.live[0].id
        posted = await console.post(
            f"/v1/calls/{call_id}/responses", json={"instructions": 'Say: "One moment."'}
        )
        assert posted.status_code == 202
        place = f"/v1/calls/{call_id}/responses/{posted.json()['request_id']}"

        async def said() -> str:
            return (await console.get(place)).json()["state"]

        async with asyncio.timeout(45):
            while (state := await said()) != "completed":
                assert state not in ("lost", "failed", "rejected")
                await asyncio.sleep(0.05)
        assert (await console.post(f"/v1/calls/{call_id}/actions/hangup")).status_code == 200
        assert (await call.over()).by == "peer"


async def test_numbers_are_routed_and_unknown_ones_refused(tmp_path: Path, flows: list[str]) -> None:
    async with (
        hosted(tmp_path, flows, hosted__numbers={"+44 20 555": "sleeper"}) as running,
        Phone() as phone,
    ):
        with pytest.raises(SipError) as refused:
            await phone.dial(f"sip:999@{running.addresses.hosted_sip}").answered()
        assert refused.value.status == 404
        call = phone.dial(f"sip:4420555@{running.addresses.hosted_sip}")
        await call.answered()
        assert running.directory.live[0].flow.name == "sleeper"
        call.hang_up()
        await until(lambda: not running.directory.live)
    offered = next(entry for entry in entries_of(tmp_path) if entry["type"] == "call.offered")
    assert (offered["route"], offered["flows_version"]) == ("hosted.numbers", 1)


def signed(
    body: bytes, *, event_id: str = "wh_1", at: float | None = None, secret: str = SECRET
) -> dict[str, str]:
    stamp = int(time.time() if at is None else at)
    return {
        "Content-Type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(stamp),
        "webhook-signature": webhook_signature(secret, event_id, stamp, body),
    }


def offer(event_id: str, call_id: str, *, age_s: float = 0.0, kind: str = "realtime.call.incoming") -> bytes:
    headers = [{"name": "From", "value": "<sip:alice@x>"}, {"name": "To", "value": "<sip:200@y>"}]
    data = {"call_id": call_id, "sip_headers": headers}
    event = {
        "object": "event",
        "id": event_id,
        "type": kind,
        "created_at": int(time.time() - age_s),
        "data": data,
    }
    return json.dumps(event).encode()


async def test_late_repeated_and_foreign_webhooks_never_act(tmp_path: Path, flows: list[str]) -> None:
    verbs: list[str] = []

    async def provider(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        verbs.append(head.split(b" ", 2)[1].decode())
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(provider, "127.0.0.1", 0)
    base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"

    async def run(posts: list[tuple[bytes, Any]]) -> tuple[list[tuple[int, str]], Service]:
        async with hosted(tmp_path, flows, hosted__api_base=base) as running:
            async with httpx.AsyncClient(base_url=running.addresses.console, timeout=60) as client:
                answers = [await client.post("/webhooks/realtime", content=b, headers=h) for b, h in posts]
            await until(
                lambda: verbs and not running.directory.live
            )  # what was taken is begun a moment later
            told = [
                (each.status_code, each.json().get("outcome", each.json().get("code"))) for each in answers
            ]
            return told, running

    # Each body is made once: a second one might be of another second, and have another signature.
    first, stale = offer("evt_1", "rtc_1"), offer("evt_0", "rtc_0", age_s=61)
    same_call, same_event = offer("evt_2", "rtc_1"), offer("evt_1", "rtc_2")
    other = offer("evt_9", "rtc_9", kind="response.completed")
    async with server:
        told, running = await run(
            [
                (stale, signed(stale)),
                (first, signed(first, secret="whsec_" + base64.b64encode(b"x" * 32).decode())),
                (first, signed(first, at=time.time() - 400)),
                (first, {**signed(first), "webhook-signature": "é".encode()}),
                (first[:-1] + b" }", signed(first)),
                (other, signed(other)),
                (first, signed(first)),
                (first, signed(first, event_id="wh_2")),
                (same_call, signed(same_call)),
                (same_event, signed(same_event)),
            ]
        )  # fmt: skip
        assert told == [
            (200, "stale"),
            (401, "webhook_signature"),
            (401, "webhook_timestamp"),
            (400, "webhook_header"),
            (401, "webhook_signature"),
            (200, "ignored"),
            (200, "taken"),
            (200, "duplicate"),
            (200, "duplicate"),
            (200, "duplicate"),
        ]
        assert verbs == ["/v1/realtime/calls/rtc_1/accept"]
        outcome = running.directory.calls()[0].outcome
        assert outcome is not None
        assert (outcome["kind"], outcome["reason"]) == ("caller", "already_settled")
        again, _ = await run([(first, signed(first, event_id="wh_3"))])
        assert again == [(200, "duplicate")], "a restart remembers"
        assert len(verbs) == 1


async def test_a_draining_node_sends_the_offer_elsewhere_and_does_not_claim_it(
    tmp_path: Path, flows: list[str]
) -> None:
    async with hosted(tmp_path, flows) as running:
        await running.drain(0)
        body = offer("evt_1", "rtc_1")
        async with httpx.AsyncClient(base_url=running.addresses.console, timeout=60) as client:
            answer = await client.post("/webhooks/realtime", content=body, headers=signed(body))
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
    assert "evt_1" not in (tmp_path / "journals" / "webhooks.claims").read_text()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"hosted.webhook_secrets": [""]}, "hosted.webhook_secrets: a secret is empty"),
        ({"hosted.webhook_secrets": [SECRET, "whsec_"]}, "hosted.webhook_secrets: a secret is empty"),
        ({"hosted.webhook_secrets": ["whsec_hush!"]}, "hosted.webhook_secrets: a secret is not"),
        ({"hosted.webhook_secrets": "whsec_hush"}, "hosted.webhook_secrets: must be a list"),
        ({"hosted.webhook_secrets": [SECRET], "console.enabled": False}, "console.enabled: must be on"),
        ({"hosted.api_base": "ftp://x"}, "hosted.api_base: must begin with http"),
    ],
)
def test_a_wrong_setting_is_named_and_no_secret_is_shown(flags: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_settings(flags=flags)
    assert str(error.value).startswith(message)
    assert "hush" not in str(error.value)


async def test_a_number_for_an_unknown_flow_is_named(tmp_path: Path, flows: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"hosted\.numbers: 100: there is no flow 'nothing'"):
        async with hosted(tmp_path, flows, hosted__numbers={"100": "nothing"}):
            pass


def test_secrets_stay_out_of_sight() -> None:
    settings = load_settings(flags={"hosted.webhook_secrets": [SECRET]})
    assert SECRET not in repr(settings)
