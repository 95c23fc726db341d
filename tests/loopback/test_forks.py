"""Our INVITE is forked: two callees answer. One call goes on, the other is acknowledged and ended at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.raw_sip import OFFER, RawSip, raw_sip
from tests.kit.service import operator, service, until
from voiceagent.sip.syntax.message import Request

pytestmark = pytest.mark.loopback


def taken(raw: RawSip, method: str, tag: str = "") -> list[Request]:
    """The requests of a method, with this To tag if given."""
    return [one for one in raw.requests if one.method == method and (not tag or one.to.tag == tag)]


def answer(raw: RawSip, request: Request, status: str, tag: str = "", body: str = "") -> None:
    """Answer as the branch that ``tag`` names."""
    host, port = raw.local[:2]
    to = request.headers.get("To") or ""
    lines = [
        f"SIP/2.0 {status}",
        *(f"Via: {via}" for via in request.headers.get_all("Via")),
        f"From: {request.headers.get('From')}",
        f"To: {to};tag={tag}" if tag else f"To: {to}",
        f"Call-ID: {request.call_id}",
        f"CSeq: {request.headers.get('CSeq')}",
        f"Contact: <sip:{tag or 'raw'}@{host}:{port}>",
        *(["Content-Type: application/sdp"] if body else []),
        f"Content-Length: {len(body)}",
    ]
    raw.send("\r\n".join([*lines, "", body]).encode())


@pytest.mark.parametrize("rings", [False, True], ids=["at once", "both ring"])
async def test_two_callees_answer(tmp_path: Path, *, rings: bool) -> None:
    async with service(tmp_path, outbound__allowed=("sip:*@127.0.0.1:*",)) as running:
        assert running.addresses is not None
        async with raw_sip(running.addresses.sip) as raw, operator(running) as client:
            target = f"sip:both@127.0.0.1:{raw.local[1]}"
            placed = await client.post("/v1/calls", json={"to": target, "flow": "front-desk"})
            assert placed.status_code == 202, placed.text
            await until(lambda: taken(raw, "INVITE"))
            invite = taken(raw, "INVITE")[0]
            if rings:
                answer(raw, invite, "180 Ringing", "one")
                answer(raw, invite, "180 Ringing", "two")
            answer(raw, invite, "200 OK", "one", OFFER)
            answer(raw, invite, "200 OK", "two", OFFER)
            await until(lambda: taken(raw, "BYE", "two"))
            answer(raw, taken(raw, "BYE", "two")[0], "200 OK")
            assert len(taken(raw, "ACK", "one")) == len(taken(raw, "ACK", "two")) == 1
            # Lost ACKs: each 200 that is repeated gets its ACK again, and no second BYE.
            answer(raw, invite, "200 OK", "one", OFFER)
            answer(raw, invite, "200 OK", "two", OFFER)
            await until(lambda: len(taken(raw, "ACK", "one")) == len(taken(raw, "ACK", "two")) == 2)
            assert (len(taken(raw, "BYE", "one")), len({one.cseq.number for one in taken(raw, "BYE")})) == (
                0,
                1,
            )
            assert len(running.directory.live) == 1
            call_id = placed.json()["call_id"]
            await until(lambda: running.directory.call(call_id).figures["answered"])
            await client.post(f"/v1/calls/{call_id}/actions/hangup")
            await until(lambda: taken(raw, "BYE", "one"))
            answer(raw, taken(raw, "BYE", "one")[0], "200 OK")
            await until(lambda: not running.directory.live)
            assert running.sip is not None
            await until(lambda: running.sip is not None and running.sip.endpoint.figures().legs == 0)
        assert not running.sip.errors["internal"]
