"""The leg of a call that we place, against a recording SIP transport."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest

from voiceagent.call.direct_audio import DirectMedia
from voiceagent.call.leg import Heard, LegEnd
from voiceagent.call.outbound_leg import DialPlan, OutboundLeg, end_of_dialling
from voiceagent.call.sip_gateway import SipGateway
from voiceagent.errors import SipError
from voiceagent.media.wheel import MediaWheel
from voiceagent.sip import effects as sip


def sdp(port: int, payload_type: int = 0) -> bytes:
    return (
        b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        b"m=audio %d RTP/AVP %d\r\n" % (port, payload_type)
    )


class Transport:
    """Notes every command; ``refuse`` fails the INVITE, ``at_once`` is told before its name is known."""

    def __init__(self) -> None:
        self.log: list[tuple[Any, ...]] = []
        self.offer = b""
        self.headers: Any = None
        self.refuse: SipError | None = None
        self.at_once: list[sip.SipEvent] = []
        self.gateway: SipGateway | None = None

    def invite(self, target: str, **kwargs: Any) -> str:
        if self.refuse is not None:
            raise self.refuse
        self.log.append(("invite", target, kwargs["from_uri"], kwargs["destination"]))
        self.offer, self.headers = kwargs["sdp"], kwargs["headers"]
        assert self.gateway is not None
        for event in self.at_once:
            self.gateway.on_event(event)
        return "leg"

    def call_id(self, leg: str) -> str:
        return f"call-id-of-{leg}"

    def hang_up(self, leg: str, reason: str = "") -> None:
        self.log.append(("hang_up", leg))

    def answer_offer(self, leg: str, answer: bytes) -> None:
        self.log.append(("answer_offer", leg))


class Listener:
    def __init__(self) -> None:
        self.log: list[tuple[Any, ...]] = []
        self.audio = bytearray()

    def leg_progress(self, status: int, early_media: bool) -> None:
        self.log.append(("progress", status, early_media))

    def leg_audio(self, audio: bytes) -> None:
        self.audio += audio

    def leg_digit(self, digit: str) -> None:
        self.log.append(("digit", digit))

    def leg_playback_started(self, response_id: str, item_id: str) -> None: ...

    def leg_playback_ended(self, heard: Heard) -> None: ...

    def leg_noted(self, kind: str, **facts: object) -> None:
        self.log.append(("noted", kind))

    def leg_held(self, held: bool) -> None:
        self.log.append(("held", held))

    def leg_ended(self, end: LegEnd, status: int | None, reason: str) -> None:
        self.log.append(("ended", end, status))


class Bench:
    """A gateway with its fakes, and one call being placed."""

    def __init__(self, ring_timeout_s: float = 30.0) -> None:
        self.wheel = MediaWheel(asyncio.get_running_loop())
        media = DirectMedia(self.wheel, None, "127.0.0.1", "127.0.0.1")
        self.transport = Transport()
        self.others: list[sip.SipEvent] = []
        self.gateway = SipGateway(media, lambda _leg: None, self.others.append)
        self.gateway.transport = self.transport  # type: ignore[assignment]
        self.transport.gateway = self.gateway
        self.listener = Listener()
        self.leg: OutboundLeg = self.gateway.dial(
            DialPlan(
                "sip:100@127.0.0.1:5090",
                sip.Address("127.0.0.1", 5090),
                "sip:agent@127.0.0.1",
                headers=[("X-Job", "42")],
                ring_timeout_s=ring_timeout_s,
            )
        )
        self.leg.listen(self.listener)

    def happens(self, *events: sip.SipEvent) -> None:
        for event in events:
            self.gateway.on_event(event)

    @property
    def remote_port(self) -> int:
        """Where our RTP goes."""
        remote = self.leg._audio.port.remote  # pyright: ignore[reportPrivateUsage]
        assert remote is not None
        return remote[1]


@pytest.fixture
async def bench() -> Any:
    bench = Bench()
    yield bench
    await bench.leg.hang_up()
    bench.wheel.close()


async def test_from_the_invite_to_the_bye(bench: Bench) -> None:
    await bench.leg.prepare()
    assert bench.transport.log == [
        ("invite", "sip:100@127.0.0.1:5090", "sip:agent@127.0.0.1", (sip.Address("127.0.0.1", 5090),))
    ]
    assert b"m=audio" in bench.transport.offer
    assert bench.transport.headers == (("X-Job", "42"),)
    info = bench.leg.info
    assert (info.id, info.protocol_call_id, info.direction, info.called, info.dialled) == (
        "leg",
        "call-id-of-leg",
        "outbound",
        "100",
        "sip:100@127.0.0.1:5090",
    )
    bench.happens(sip.InviteProgress("leg", 180, "Ringing"), sip.Answered("leg", sdp(4000)))
    await bench.leg.answer()
    bench.happens(sip.Ended("leg", "peer"))
    assert bench.listener.log == [
        ("progress", 180, False),
        ("progress", 200, False),
        ("ended", LegEnd.CALLER_HUNG_UP, None),
    ]
    assert len(bench.gateway) == 0


async def test_what_is_told_before_the_leg_has_its_name_is_not_lost(bench: Bench) -> None:
    bench.transport.at_once = [sip.InviteProgress("leg", 180, "Ringing"), sip.Retransmitted("INVITE")]
    await bench.leg.prepare()
    assert bench.listener.log == [("progress", 180, False)]
    assert bench.others == [sip.Retransmitted("INVITE")]


async def test_early_media_is_heard_but_goes_nowhere_and_nothing_is_played_into_it(bench: Bench) -> None:
    await bench.leg.prepare()
    bench.happens(sip.InviteProgress("leg", 183, "Session Progress", sdp(4000), "a"))
    assert bench.listener.log == [("progress", 183, True)]
    bench.leg.on_audio(b"\x00" * 160)
    bench.leg.on_digit("5")
    bench.leg.play(b"\x10" * 1600, response_id="r", item_id="i")
    bench.leg.on_media_lost(60.0)
    assert bench.leg.early_ms == 20
    assert not bench.listener.audio
    assert bench.leg.stop_playing() == []
    bench.happens(sip.Answered("leg", sdp(4000), "a"))
    bench.leg.on_audio(b"\x00" * 160)
    assert len(bench.listener.audio) == 160
    assert bench.listener.log[-1] == ("progress", 200, True)


async def test_of_several_branches_the_media_of_the_one_that_answers_wins(bench: Bench) -> None:
    await bench.leg.prepare()
    bench.happens(
        sip.InviteProgress("leg", 183, "", sdp(4000), "a"), sip.InviteProgress("leg", 183, "", sdp(4100), "b")
    )
    assert bench.remote_port == 4100  # the newest is followed
    bench.happens(sip.InviteProgress("leg", 180, "", None, "a"))
    bench.happens(sip.Answered("leg", None, "a"))  # its 2xx needs no SDP any more: its 183 had it
    assert bench.remote_port == 4000
    await bench.leg.answer()


async def test_an_answer_without_sdp_of_a_branch_never_heard_of_ends_the_call(bench: Bench) -> None:
    await bench.leg.prepare()
    bench.happens(
        sip.InviteProgress("leg", 183, "", sdp(4000), "a"), sip.Answered("leg", None, "another branch")
    )
    await bench.leg.answer()
    assert bench.listener.log[-1] == ("ended", LegEnd.NO_MEDIA, 488)
    assert bench.transport.log[-1] == ("hang_up", "leg")


async def test_an_early_answer_of_no_use_costs_nothing(bench: Bench) -> None:
    await bench.leg.prepare()
    bench.happens(sip.InviteProgress("leg", 183, "", b"nonsense", "a"), sip.Answered("leg", sdp(4000), "a"))
    assert bench.listener.log == [("progress", 183, False), ("progress", 200, False)]


async def test_the_line_keeps_its_law_when_the_callee_picks_the_other(bench: Bench) -> None:
    await bench.leg.prepare()
    assert bench.leg.audio_format == "audio/pcmu"
    bench.happens(sip.Answered("leg", sdp(4000, 8)))
    assert bench.leg.audio_format == "audio/pcmu"  # as the model's session was opened
    path = bench.leg._audio.port.path  # pyright: ignore
    assert (path.codec, path.payload_type, path.line) == ("PCMA", 8, "ulaw")


@pytest.mark.parametrize(("rings", "end"), [(True, LegEnd.NO_ANSWER), (False, LegEnd.UNREACHABLE)])
async def test_nobody_answers_in_time(rings: bool, end: LegEnd) -> None:
    bench = Bench(ring_timeout_s=0.01)
    await bench.leg.prepare()
    if rings:
        bench.happens(sip.InviteProgress("leg", 180, "Ringing"))
    await bench.leg.answer()
    assert bench.listener.log[-1] == ("ended", end, 408)
    assert bench.transport.log[-1] == ("hang_up", "leg")  # the core makes it a CANCEL
    bench.wheel.close()


async def test_an_answered_call_does_not_ring_out() -> None:
    bench = Bench(ring_timeout_s=0.01)
    await bench.leg.prepare()
    bench.happens(sip.Answered("leg", sdp(4000)))
    loop = asyncio.get_running_loop()
    later: asyncio.Future[None] = loop.create_future()
    loop.call_later(0.02, later.set_result, None)
    await later
    assert [entry[0] for entry in bench.listener.log] == ["progress"]
    await bench.leg.hang_up()
    bench.wheel.close()


async def test_hanging_up_while_it_rings_is_our_own_end(bench: Bench) -> None:
    await bench.leg.prepare()
    bench.happens(sip.InviteProgress("leg", 180, "Ringing"))
    await bench.leg.reject(503, "Service Unavailable")
    bench.happens(sip.Ended("leg", "us", 487))
    await bench.leg.answer()
    assert bench.listener.log[-1] == ("ended", LegEnd.WE_HUNG_UP, 487)
    bench.happens(sip.Answered("leg", sdp(4000)))  # crossed our CANCEL; the core has ended it
    assert bench.listener.log[-1][0] == "ended"


async def test_nothing_leaves_for_a_call_that_was_given_up_while_it_was_being_prepared(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = asyncio.Event()

    async def lookup() -> list[sip.Address]:
        await found.wait()
        return [sip.Address("127.0.0.1", 5090)]

    plan = dataclasses.replace(bench.leg._plan, destination=lookup)  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(bench.leg, "_plan", plan)
    preparing = asyncio.ensure_future(bench.leg.prepare())
    await asyncio.sleep(0)
    await bench.leg.hang_up()
    found.set()
    await preparing
    assert not any(line[0] == "invite" for line in bench.transport.log)


async def test_an_invite_that_cannot_leave_lets_go_of_its_port(bench: Bench) -> None:
    bench.transport.refuse = SipError("too many legs", status=503)
    await bench.leg.prepare()
    await bench.leg.answer()
    assert bench.listener.log == [("ended", LegEnd.UNREACHABLE, 503)]
    assert len(bench.gateway) == 0
    assert bench.leg._audio.port._socket is None  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(
    ("status", "end"),
    [
        (486, LegEnd.BUSY),
        (600, LegEnd.BUSY),
        (603, LegEnd.DECLINED),
        (403, LegEnd.DECLINED),
        (407, LegEnd.DECLINED),
        (480, LegEnd.NO_ANSWER),
        (408, LegEnd.NO_ANSWER),
        (487, LegEnd.NO_ANSWER),
        (404, LegEnd.NOT_FOUND),
        (410, LegEnd.NOT_FOUND),
        (484, LegEnd.NOT_FOUND),
        (604, LegEnd.NOT_FOUND),
        (302, LegEnd.UNREACHABLE),
        (488, LegEnd.UNREACHABLE),
        (500, LegEnd.UNREACHABLE),
        (503, LegEnd.UNREACHABLE),
    ],
)
async def test_every_refusal_has_its_word_and_no_redirection_is_followed(
    bench: Bench, status: int, end: LegEnd
) -> None:
    await bench.leg.prepare()
    bench.happens(sip.Ended("leg", "rejected", status, "Because"))
    await bench.leg.answer()
    assert bench.listener.log == [("ended", end, status)]
    assert [entry[0] for entry in bench.transport.log] == ["invite"]


def test_silence_is_no_answer_only_where_it_rang() -> None:
    assert end_of_dialling("timeout", 408, rang=True) is LegEnd.NO_ANSWER
    assert end_of_dialling("timeout", 408, rang=False) is LegEnd.UNREACHABLE
    assert end_of_dialling("failed", None, rang=False) is LegEnd.UNREACHABLE
