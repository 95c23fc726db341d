"""Attacks on a live service: a canary call must not notice, and the next caller must be answered."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kit.corpora import rfc4475, rfc5118
from tests.kit.raw_sip import OFFER, RawSip, raw_sip
from tests.kit.service import service, until
from voiceagent.app.service import Service
from voiceagent.call.call import Call
from voiceagent.call.leg_ear import LegEar
from voiceagent.phone.phone import Phone, PhoneCall
from voiceagent.sip.syntax.message import Response

pytestmark = pytest.mark.loopback

FLOW = """
import asyncio
from voiceagent.ivr import Call, flow

@flow("anyone", numbers=["*"])
async def anyone(call: Call) -> None:
    await call.say("Hi.")
    await asyncio.Event().wait()
"""
LOUD = 0x10
"""A µ-law byte that only the attacker sends."""


@dataclass(frozen=True)
class Scene:
    """A service with one call going on, and a raw SIP socket."""

    running: Service
    phone: Phone
    canary: PhoneCall
    live: Call
    raw: RawSip

    @property
    def sip(self) -> str:
        assert self.running.addresses is not None
        return self.running.addresses.sip

    async def still_well(self) -> None:
        """The canary is heard, a new caller is answered, and nothing of ours broke."""
        assert self.running.sip is not None
        assert not self.canary.ended.done()
        before = self.live.digits_pressed
        await self.canary.press("5")
        await until(lambda: self.live.digits_pressed == before + 1)
        newcomer = self.phone.dial(f"sip:100@{self.sip}")
        await newcomer.answered()
        await newcomer.until_speaking(45)
        newcomer.hang_up()
        assert (await newcomer.over()).by == "us"
        broken = {kind: self.running.sip.errors[kind] for kind in ("internal", "listener")}
        assert broken == {"internal": 0, "listener": 0}


@pytest.fixture
def flows(tmp_path: Path) -> list[str]:
    path = tmp_path / "flows.py"
    path.write_text(FLOW, encoding="utf-8")
    return [str(path)]


@asynccontextmanager
async def scene(tmp_path: Path, flows: list[str], **settings: object) -> AsyncIterator[Scene]:
    async with service(tmp_path, flows=flows, **settings) as running, Phone() as phone:
        assert running.addresses is not None
        async with raw_sip(running.addresses.sip) as raw:
            canary = phone.dial(f"sip:100@{running.addresses.sip}")
            await canary.answered()
            await canary.until_speaking(45)
            yield Scene(running, phone, canary, running.directory.live[0], raw)


def mutated(message: bytes, dice: random.Random) -> bytes:
    """One to four small changes: flipped, lost, doubled, inserted or transplanted bytes."""
    data = bytearray(message)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(data) + 1)
        match dice.randrange(6):
            case 0 if at < len(data):
                data[at] ^= 1 << dice.randrange(8)
            case 1:
                del data[at : at + dice.randint(1, 40)]
            case 2:
                data[at:at] = data[at : at + dice.randint(1, 200)]
            case 3:
                data[at:at] = dice.randbytes(dice.randint(1, 12))
            case 4:
                data[at:at] = dice.choice((b"\r\n", b"\x00", b'"', b"<", b";", b",", b"%", b"\r\n\r\n", b":"))
            case _:
                line = dice.choice(bytes(data).split(b"\r\n"))
                data[at:at] = line + b"\r\n"
        if not data:
            break
    return bytes(data[:60_000])


def out_of_the_blue(raw: RawSip) -> list[bytes]:
    """Requests of every method, outside of any dialog."""
    return [
        raw.request(method, "100", headers=headers)[0]
        for method, headers in (
            ("BYE", ("X-Why: to end what is not ours",)),
            ("INFO", ("Info-Package: x",)),
            ("UPDATE", ()),
            ("REFER", ("Refer-To: <sip:thief@127.0.0.1:9>",)),
            ("NOTIFY", ("Event: refer", "Subscription-State: terminated")),
            ("CANCEL", ()),
            ("ACK", ()),
            ("MESSAGE", ()),
            ("OPTIONS", ("Require: everything",)),
        )
    ]


async def poured(raw: RawSip, datagrams: list[bytes]) -> None:
    """Send all, a batch at a time; after each batch the service must still answer OPTIONS."""
    for start in range(0, len(datagrams), 50):
        for datagram in datagrams[start : start + 50]:
            raw.send(datagram)
        assert (await raw.ask("OPTIONS")).status == 200


async def test_the_torture_messages_harm_nobody(tmp_path: Path, flows: list[str]) -> None:
    async with scene(tmp_path, flows) as at:
        await poured(at.raw, [*rfc4475().values(), *rfc5118().values()])
        await at.still_well()


async def test_two_thousand_mutations_harm_nobody(tmp_path: Path, flows: list[str]) -> None:
    dice = random.Random(20261)
    async with scene(tmp_path, flows, call__max_calls=40) as at:
        assert at.running.sip is not None
        seeds = [
            *rfc4475().values(),
            *out_of_the_blue(at.raw),
            *(at.raw.request("INVITE", "100", body=OFFER)[0] for _ in range(5)),
        ]
        await poured(at.raw, [mutated(dice.choice(seeds), dice) for _ in range(2000)])
        # Some of them were proper calls; their callers never say ACK, and other calls would get 503.
        for call in at.running.directory.live:
            if call is not at.live:
                call.end("cleared")
        await until(lambda: len(at.running.directory.live) == 1)
        await at.still_well()
        counts = at.running.sip.endpoint.figures().counts
        assert sum(count for name, count in counts.items() if name.startswith(("drop_", "malformed_"))) > 100


async def test_a_stranger_cannot_end_a_call_by_guessing(tmp_path: Path, flows: list[str]) -> None:
    """Even with the Call-ID: a dialog is known by its tags, and heard from its peer's address."""
    async with scene(tmp_path, flows) as at:
        call_id = at.live.info.protocol_call_id
        for method in ("BYE", "CANCEL", "INVITE", "UPDATE", "INFO", "REFER"):
            data, branch = at.raw.request(method, "100", body=OFFER if method == "INVITE" else b"")
            lines = data.decode().split("\r\n")
            changed = [
                f"Call-ID: {call_id}"
                if line.startswith("Call-ID:")
                else line + ";tag=guess"
                if line.startswith("To:")
                else line
                for line in lines
            ]
            at.raw.send("\r\n".join(changed).encode())
            assert (await at.raw.final(branch)).status in (403, 405, 481), method
        await at.still_well()


def rtp(sequence: int, *, payload_type: int = 0, ssrc: int = 0xBAD, payload: bytes | None = None) -> bytes:
    body = bytes((LOUD,)) * 160 if payload is None else payload
    return struct.pack("!BBHII", 0x80, payload_type, sequence & 0xFFFF, sequence * 160, ssrc) + body


async def test_foreign_rtp_is_never_heard(
    tmp_path: Path, flows: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(5)
    async with scene(tmp_path, flows) as at:
        agreement = at.canary._audio.agreement
        assert agreement is not None
        target = (agreement.remote_address, agreement.remote_port)
        heard = bytearray()
        monkeypatch.setattr(LegEar, "leg_audio", lambda ear, audio: heard.extend(audio))
        at.live.leg.listen(at.live.ear)  # whoever passes the sound on has looked the method up already
        await until(lambda: len(heard) > 3200)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attacker:
            attacker.bind(("127.0.0.1", 0))
            for n in range(300):
                attacker.sendto(rtp(n), target)
                attacker.sendto(dice.randbytes(dice.randrange(400)), target)
                attacker.sendto(rtp(n, payload_type=101, payload=b"\x09\x8a\x03\x20"), target)
                if n % 10 == 0:
                    await asyncio.sleep(0.005)
        count = len(heard)
        await until(lambda: len(heard) > count + 8000)
        assert LOUD not in heard
        assert at.live.digits_pressed == 0
        await at.still_well()


async def test_garbage_from_the_callers_own_port_is_counted_and_survived(
    tmp_path: Path, flows: list[str]
) -> None:
    dice = random.Random(6)
    async with scene(tmp_path, flows) as at:
        port = at.canary._audio.port._socket
        assert port is not None
        agreement = at.canary._audio.agreement
        assert agreement is not None
        target = (agreement.remote_address, agreement.remote_port)
        for n in range(300):
            junk = dice.randbytes(dice.randrange(1, 1500))
            port.sendto(dice.choice((junk, b"\x80" + junk, b"\x9f\x00" + junk, b"\xbf\x80" + junk)), target)
            if n % 10 == 0:
                await asyncio.sleep(0.005)
        await until(lambda: at.live.leg.figures().details["malformed"] > 0)
        await at.still_well()


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        ("v=0\r\nthis is no SDP", "application/sdp", {400}),
        (OFFER.replace("m=audio 9 RTP/AVP 0", "m=audio 9 RTP/AVP 18"), "application/sdp", {488}),
        (OFFER.replace("m=audio 9 RTP/AVP 0", "m=video 9 RTP/AVP 0"), "application/sdp", {488}),
        (OFFER.replace("m=audio 9 RTP/AVP 0", "m=audio 99999 RTP/AVP 0"), "application/sdp", {400, 488}),
        (OFFER.replace("c=IN IP4 127.0.0.1", "c=IN IP4 nowhere.invalid"), "application/sdp", {400, 488}),
        (b"\x00\xff" * 200, "application/sdp", {400, 488}),
        (OFFER, "text/plain", {415}),
        (OFFER + "a=x:" + "y" * 40_000, "application/sdp", {400, 413, 488}),
    ],
    ids=["no SDP", "no codec of ours", "no audio", "port too high", "no address", "bytes", "type", "huge"],
)
async def test_a_broken_offer_is_refused(
    tmp_path: Path, flows: list[str], body: str | bytes, content_type: str, expected: set[int]
) -> None:
    async with service(tmp_path, flows=flows) as running:
        assert running.addresses is not None
        async with raw_sip(running.addresses.sip) as raw:
            refused = await raw.ask("INVITE", body=body, content_type=content_type)
            assert refused.status in expected
            raw.acknowledge(refused)
            await until(lambda: running.admission.live == 0)
            assert (await raw.ask("OPTIONS")).status == 200


async def test_a_flood_of_calls_gets_503_with_a_time_to_come_back(tmp_path: Path, flows: list[str]) -> None:
    async with scene(tmp_path, flows, call__max_calls=3) as at:
        flood = [at.raw.request("INVITE", "100", body=OFFER) for _ in range(200)]
        for data, _ in flood:
            at.raw.send(data)
        answers: list[Response] = [await at.raw.final(branch, repeat=data) for data, branch in flood]
        taken = [answer for answer in answers if answer.status == 200]
        refused = [answer for answer in answers if answer.status == 503]
        assert len(taken) == 2
        assert len(refused) == 198
        assert all(int(answer.headers.get("Retry-After") or 0) > 0 for answer in refused)
        for answer in refused:
            at.raw.acknowledge(answer)
        for call in at.running.directory.live:
            if call is not at.live:
                call.end("cleared")
        await until(lambda: at.running.admission.live == 1)
        await at.still_well()


async def test_options_says_what_we_can_do(tmp_path: Path, flows: list[str]) -> None:
    async with service(tmp_path, flows=flows) as running:
        assert running.addresses is not None
        async with raw_sip(running.addresses.sip) as raw:
            answer = await raw.ask("OPTIONS")
    assert answer.status == 200
    assert "INVITE" in (answer.headers.get("Allow") or "")
    assert answer.headers.get("Accept") == "application/sdp"


async def test_a_caller_without_sound_is_asked_once_and_let_go(tmp_path: Path, flows: list[str]) -> None:
    limits = {"media__silence_limit_s": 0.6, "media__first_packet_limit_s": 0.6, "media__silence_probes": 1}
    async with service(tmp_path, flows=flows, **limits) as running:
        assert running.addresses is not None
        async with raw_sip(running.addresses.sip) as raw:
            raw.acknowledge(await raw.ask("INVITE", body=OFFER))
            await until(lambda: {request.method for request in raw.requests} == {"OPTIONS", "BYE"})
            await until(lambda: not running.directory.live)
        outcome = running.directory.calls()[0].outcome
    assert outcome is not None
    assert (outcome["kind"], outcome["reason"]) == ("caller", "no_media")


@pytest.mark.parametrize("body", ["", "v=0\r\nno answer\r\n", OFFER.replace("AVP 0", "AVP 18")])
async def test_a_late_offer_without_a_proper_answer_ends_the_call(
    tmp_path: Path, flows: list[str], body: str
) -> None:
    async with service(tmp_path, flows=flows) as running:
        assert running.addresses is not None
        async with raw_sip(running.addresses.sip) as raw:
            offered = await raw.ask("INVITE")
            assert b"m=audio" in offered.body
            raw.acknowledge(offered, body)
            await until(lambda: [request.method for request in raw.requests] == ["BYE"])
            await until(lambda: not running.directory.live)
        outcome = running.directory.calls()[0].outcome
        assert running.wheel is not None
        assert len(running.wheel) == 0
    assert outcome is not None
    assert (outcome["kind"], outcome["reason"]) == ("caller", "no_media")


async def test_strange_turns_within_a_dialog(tmp_path: Path, flows: list[str]) -> None:
    """Broken and impossible re-INVITEs leave the session as it was; an old BYE ends nothing."""
    async with service(tmp_path, flows=flows) as running:
        assert running.addresses is not None
        async with raw_sip(running.addresses.sip) as raw:
            started = await raw.ask("INVITE")
            raw.acknowledge(started, OFFER)
            await until(lambda: running.directory.live and running.directory.live[0].state.value == "talking")
            live = running.directory.live[0]
            steps = [
                ("INVITE", 2, "v=0 broken", 400, False),
                ("INVITE", 3, OFFER.replace("AVP 0", "AVP 18"), 488, False),
                ("INVITE", 4, OFFER.replace("sendrecv", "sendonly"), 200, True),
                ("INVITE", 5, OFFER.replace("sendrecv", "inactive"), 200, True),
                ("INVITE", 6, OFFER, 200, False),
                ("UPDATE", 7, "", 200, False),
                ("OPTIONS", 8, "", 200, False),
                ("MESSAGE", 9, "", 405, False),
                ("BYE", 3, "", 500, False),
            ]
            for method, number, body, status, held in steps:
                answer = await raw.final(raw.within(started, method, number, body))
                assert answer.status == status, (method, number)
                if method == "INVITE":
                    raw.acknowledge(answer)
                assert live.held == held, (method, number)
            assert list(running.directory.live) == [live]
            assert (await raw.final(raw.within(started, "BYE", 10))).status == 200
            await until(lambda: not running.directory.live)


async def test_a_cancel_right_behind_its_invite(tmp_path: Path, flows: list[str]) -> None:
    async with service(tmp_path, flows=flows) as running:
        assert running.addresses is not None
        async with raw_sip(running.addresses.sip) as raw:
            invite, branch = raw.request("INVITE", body=OFFER)
            head = invite.partition(b"Content-Type")[0]
            cancel = head.replace(b"INVITE", b"CANCEL") + b"Content-Length: 0\r\n\r\n"
            raw.send(invite)
            raw.send(cancel)
            await until(lambda: len([one for one in raw.responses.get(branch, ()) if one.status >= 200]) == 2)
            finals = {(one.status, one.cseq.method) for one in raw.responses[branch] if one.status >= 200}
            await until(lambda: not running.directory.live)
    assert finals == {(200, "CANCEL"), (487, "INVITE")}
