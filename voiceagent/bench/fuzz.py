"""Damaged messages into the SIP endpoint, with live dialogs and an application behind it.

Half of the messages are damaged copies of what belongs to a live dialog, so that they get past the first
table; the clock runs, calls come and go. One call, the canary, has a Call-ID that no seed names: whatever
happens, it must go on. Time is CPU time of the endpoint alone, for each message; the garbage collector, whose
turns fall on any message, runs in between.
"""

from __future__ import annotations

import gc
import random
import time
from collections import Counter, deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from voiceagent.bench.mutate import Mutator
from voiceagent.bench.sip_peer import ANSWER, OFFER, OURS, PEER, Peer, reply
from voiceagent.errors import SipError
from voiceagent.ids import counted_tokens
from voiceagent.media.sdp import Abilities, accept_answer, make_offer, negotiate, parse_sdp
from voiceagent.sip.config import EndpointConfig
from voiceagent.sip.effects import Ended, InviteReceived, OfferReceived, SendDatagram, SipEffect
from voiceagent.sip.endpoint import SipEndpoint
from voiceagent.sip.limits import DEFAULT
from voiceagent.sip.syntax.message import Request, Response
from voiceagent.sip.syntax.parser import parse_datagram

_STEP_S = 0.002
_FRESH = 999_000
"""Stands in the seeds where each message gets a number of its own, above all before."""
_MOST_LEGS = 12
_COLLECT_EVERY = 2_000
_BUCKETS = 20_000
"""Of one microsecond each; the last takes all that is longer."""
_ABILITIES = Abilities(address="127.0.0.1", port=40_000)


class Microseconds:
    """How long things took, counted in buckets, so that a million of them take no memory."""

    def __init__(self) -> None:
        self._buckets = [0] * (_BUCKETS + 1)
        self.count = 0
        self.most = 0.0
        self.total = 0.0

    def add(self, nanoseconds: int) -> None:
        """Count one."""
        value = nanoseconds / 1000
        self._buckets[min(_BUCKETS, int(value))] += 1
        self.count += 1
        self.total += value
        self.most = max(self.most, value)

    def percentile(self, share: float) -> int:
        """Return the bucket below which ``share`` of all lie."""
        wanted = self.count * share
        for value, count in enumerate(self._buckets):
            wanted -= count
            if wanted <= 0:
                return value
        return _BUCKETS


def own_seeds() -> list[bytes]:
    """Return well-formed messages of every method and many headers, outside of any dialog."""
    peer = Peer(f"seed-{_FRESH}", "seed-tag")
    multipart = (
        b"--b\r\nContent-Type: application/sdp\r\n\r\n" + OFFER + b"\r\n--b\r\n"
        b"Content-Type: text/plain\r\n\r\nx\r\n--b--\r\n"
    )
    seeds = [
        peer.request(method, b"", *headers)
        for method, headers in (
            ("OPTIONS", ("Accept: application/sdp", "Require: timer", "Max-Breadth: 60")),
            ("REGISTER", ("Contact: *", "Expires: 0", 'Authorization: Digest username="a", response="b"')),
            ("BYE", ("Reason: Q.850;cause=16",)),
            ("CANCEL", ()),
            ("ACK", ()),
            ("INFO", ("Info-Package: x",)),
            ("UPDATE", ("Session-Expires: 1800;refresher=uac", "Min-SE: 90")),
            ("PRACK", ("RAck: 1 1 INVITE",)),
            ("REFER", ("Refer-To: <sip:b@127.0.0.1?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>",)),
            ("NOTIFY", ("Event: refer;id=2", "Subscription-State: active;expires=60")),
            ("SUBSCRIBE", ("Event: dialog", "Expires: 60")),
            ("MESSAGE", ("In-Reply-To: a@b, c@d",)),
        )
    ]
    seeds += [
        peer.request("INVITE", OFFER, *headers)
        for headers in (
            (),
            ("Require: 100rel", "Supported: timer, replaces, 100rel", "Session-Expires: 90;refresher=uas"),
            ("Record-Route: <sip:p1@127.0.0.1;lr>, <sip:p2@127.0.0.1>", "Route: <sip:127.0.0.1:5060;lr>"),
            ("Replaces: abc;to-tag=1;from-tag=2;early-only", 'P-Asserted-Identity: "A" <tel:+441>'),
            (
                'Diversion: "B" <sip:b@c>;reason=busy',
                "History-Info: <sip:x@y?Reason=SIP%3Bcause%3D302>;index=1",
            ),
            ("Via: SIP/2.0/TCP [2001:db8::1]:5060;branch=z9hG4bKa;received=2001:db8::2", "Date: Sat"),
            ("Content-Disposition: session;handling=optional", "Content-Encoding: identity", "Accept: */*"),
        )
    ]
    seeds.append(peer.request("INVITE", multipart, content_type='multipart/mixed;boundary="b"'))
    seeds += [
        b"SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n"
        b"To: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContact: <sip:c@d>\r\n"
        b"Content-Length: 0\r\n\r\n",
        b"\r\n\r\n",
    ]
    return seeds


def _within(peer: Peer) -> list[bytes]:
    """Return what ``peer`` may say in its dialog, each under a number that is made fresh later."""
    relay = b"Signal=5\r\nDuration=160\r\n"
    told = ("Event: refer", "Subscription-State: terminated;reason=noresource")
    kinds: tuple[tuple[str, bytes, str, tuple[str, ...]], ...] = (
        ("INVITE", OFFER, "application/sdp", ()),
        ("INVITE", b"", "", ()),
        ("UPDATE", OFFER, "application/sdp", ()),
        ("UPDATE", b"", "", ()),
        ("ACK", ANSWER, "application/sdp", ()),
        ("INFO", relay, "application/dtmf-relay", ()),
        ("OPTIONS", b"", "", ()),
        ("PRACK", b"", "", ("RAck: 1 1 INVITE",)),
        ("REFER", b"", "", ("Refer-To: <sip:200@127.0.0.1>",)),
        ("NOTIFY", b"SIP/2.0 200 OK\r\n", "message/sipfrag", told),
        ("CANCEL", b"", "", ()),
        ("BYE", b"", "", ()),
    )
    return [
        peer.request(
            method,
            body,
            *headers,
            number=_FRESH,
            branch=f"z9hG4bK-{method}-{_FRESH}",
            content_type=content_type,
        )
        for method, body, content_type, headers in kinds
    ]


class Target:
    """An endpoint with a few live calls, and the application that answers them."""

    def __init__(self, seeds: Sequence[bytes], seed: int, *, config: EndpointConfig | None = None) -> None:
        self._rng = random.Random(seed)
        self.endpoint = SipEndpoint(config or EndpointConfig(local=OURS, allow_refer=True), counted_tokens())
        self.mutator = Mutator(seeds, seed)
        self.now = 0.0
        self.spent = Microseconds()
        self.replies: Counter[str] = Counter()
        self.exceptions: list[str] = []
        self.bytes_out = 0
        self._legs: deque[str] = deque()
        self._live: list[bytes] = []
        self._calls = 0
        self.canary = Peer("canary", "canary-tag")
        self._canary_leg = self._establish(self.canary)
        self.canary_answers = 0
        self._renew()

    # One message.

    def one(self) -> None:
        """Send one damaged message and let the application react."""
        rng = self._rng
        seeds = self._live if self._live and rng.random() < 0.5 else self.mutator.seeds
        fresh = b"%d" % (_FRESH + self.spent.count)
        # A fresh Call-ID, branch and CSeq: otherwise most of it would be taken for a repetition.
        self.take(self.mutator.damage(rng.choice(seeds).replace(b"999000", fresh)))
        if rng.random() < 0.002:
            self._renew()
        if rng.random() < 0.002:
            self._command()

    def take(self, data: bytes) -> None:
        """Give ``data`` to the endpoint as a datagram of the peer; whatever it raises is kept."""
        self.now += _STEP_S
        began = time.thread_time_ns()
        try:
            effects = self.endpoint.receive(data, PEER, self.now)
        except Exception as error:
            self._failed(data, error)
            return
        self.spent.add(time.thread_time_ns() - began)
        self._perform(effects)
        due = self.endpoint.wake_at()
        if due is not None and due <= self.now:
            try:
                self._perform(self.endpoint.wake(self.now))
            except Exception as error:
                self._failed(b"(a timer)", error)

    def _failed(self, data: bytes, error: Exception) -> None:
        if len(self.exceptions) < 20:
            self.exceptions.append(f"{error!r} on {data[:3000]!r}")

    def _perform(self, effects: list[SipEffect]) -> None:
        for effect in effects:
            if isinstance(effect, SendDatagram):
                self.bytes_out += len(effect.data)
                if len(effect.data) > DEFAULT.sent_datagram:
                    self.exceptions.append(f"a datagram of {len(effect.data)} bytes")
                head = effect.data[:11]
                self.replies[head[8:11].decode() if head.startswith(b"SIP/2.0 ") else "request"] += 1
            elif isinstance(effect, InviteReceived):
                self._offered(effect)
            elif isinstance(effect, OfferReceived):
                if self._rng.random() < 0.7:
                    self._perform(self.endpoint.answer_offer(effect.leg, ANSWER, self.now))
                elif self._rng.random() < 0.5:
                    self._perform(self.endpoint.refuse_offer(effect.leg, 488, self.now))
            elif isinstance(effect, Ended) and effect.leg == self._canary_leg:
                self.exceptions.append(f"the canary was ended by {effect.by}")

    def _offered(self, event: InviteReceived) -> None:
        self._legs.append(event.leg)
        kind = self._rng.random()
        try:
            answer = negotiate(parse_sdp(event.offer), _ABILITIES).answer.to_bytes() if event.offer else OFFER
        except SipError as error:
            self._perform(self.endpoint.reject(event.leg, error.status, "", self.now))
        else:
            if kind < 0.2:
                self._perform(self.endpoint.ring(event.leg, self.now))
            elif kind < 0.9:
                self._perform(self.endpoint.accept(event.leg, answer, self.now))
        while len(self._legs) > _MOST_LEGS:
            self._perform(self.endpoint.hang_up(self._legs.popleft(), self.now))

    # Calls to aim at.

    def _establish(self, peer: Peer) -> str:
        effects = self.endpoint.receive(peer.request("INVITE", OFFER), PEER, self.now)
        leg = next(effect.leg for effect in effects if isinstance(effect, InviteReceived))
        for effect in self.endpoint.accept(leg, ANSWER, self.now):
            if isinstance(effect, SendDatagram):
                message = parse_datagram(effect.data)
                assert isinstance(message, Response)
                peer.to_tag = message.to.tag or ""
        self._perform(self.endpoint.receive(peer.request("ACK", number=1), PEER, self.now))
        return leg

    def _renew(self) -> None:
        """Set up a fresh inbound and a fresh outbound call, and take what may be said in them as seeds."""
        assert self._canary_leg
        before = self.canary_answers
        for effect in self.endpoint.receive(self.canary.request("OPTIONS"), PEER, self.now):
            self.canary_answers += isinstance(effect, SendDatagram) and effect.data.startswith(
                b"SIP/2.0 200 "
            )
        if self.canary_answers == before:
            self.exceptions.append("the canary is not answered any more")
        self._calls += 1
        peer = Peer(f"live-{self._calls}", f"live-tag-{self._calls}")
        invite = peer.request("INVITE", OFFER, branch="z9hG4bK-first", number=peer.number + 1)
        self._legs.append(self._establish(peer))
        live = [invite, *_within(peer)]
        leg, effects = self.endpoint.invite(
            "sip:bob@127.0.0.1:5090", from_uri="sip:a@127.0.0.1", sdp=OFFER, destination=PEER, now=self.now
        )
        self._legs.append(leg)
        live += self._answers_to(effects)
        self._perform(effects)
        self._live = live

    def _answers_to(self, effects: Sequence[SipEffect]) -> list[bytes]:
        answers: list[bytes] = []
        for effect in effects:
            message = parse_datagram(effect.data) if isinstance(effect, SendDatagram) else None
            if isinstance(message, Request) and message.method != "ACK":
                answers += [
                    reply(message, 100),
                    reply(message, 183, ANSWER, "Require: 100rel", "RSeq: 1"),
                    reply(message, 200, ANSWER, "Record-Route: <sip:p@127.0.0.1:5090;lr>"),
                    reply(message, 486),
                ]
        return answers

    def _command(self) -> None:
        """Make the endpoint say something itself, so that there are answers to damage."""
        if not self._legs:
            return
        leg = self._rng.choice(self._legs)
        try:
            effects = self._rng.choice(
                (
                    lambda: self.endpoint.offer(leg, OFFER, self.now),
                    lambda: self.endpoint.refer(leg, "sip:x@127.0.0.1", self.now),
                    lambda: self.endpoint.send_info(leg, "application/dtmf", b"1", self.now),
                    lambda: self.endpoint.refer_outcome(leg, 200, "OK", self.now),
                )
            )()
        except SipError:
            return  # the leg is over, or not there yet
        self._live += self._answers_to(effects)
        self._perform(effects)

    # The end.

    def close(self) -> dict[str, int]:
        """Hang up everything, let the timers run out, and return what is left."""
        canary, self._canary_leg = self._canary_leg, ""
        for leg in (*self._legs, canary):
            self._perform(self.endpoint.hang_up(leg, self.now))
        until = self.now + 500
        while (due := self.endpoint.wake_at()) is not None and due <= until:
            self.now = max(self.now, due)
            self._perform(self.endpoint.wake(self.now))
        figures = self.endpoint.figures()
        return {
            "transactions": figures.server_transactions + figures.client_transactions,
            "legs": figures.legs,
            "dialogs": figures.dialogs,
            "timers": figures.timers,
        }


@contextmanager
def _no_collector() -> Generator[None]:
    """The collector runs only where it is called."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def fuzz_endpoint(messages: int, seed: int = 1, seeds: Sequence[bytes] = ()) -> dict[str, Any]:
    """Send ``messages`` damaged messages; ``seeds`` (the RFC corpora, say) are damaged beside our own."""
    target = Target([*own_seeds(), *seeds], seed)
    warm = max(1, messages // 10)
    began = time.process_time()
    resident = 0
    with _no_collector():
        for number in range(messages):
            if number == warm:
                resident = resident_kb()
            if number % _COLLECT_EVERY == 0:
                gc.collect(1)
            target.one()
    grown = resident_kb() - resident if messages > warm else 0
    seconds = time.process_time() - began
    left = target.close()
    counts = target.endpoint.figures().counts
    return {
        "messages": messages,
        "seed": seed,
        "exceptions": len(target.exceptions),
        "examples": target.exceptions,
        "messages_per_cpu_second": round(messages / seconds) if seconds else 0,
        "us_per_message": {
            "p50": target.spent.percentile(0.5),
            "p99.9": target.spent.percentile(0.999),
            "max": round(target.spent.most),
        },
        "memory_growth_kb": grown,
        "canary_answers": target.canary_answers,
        "sent_by_status": dict(sorted(target.replies.items())),
        "dropped": sum(count for name, count in counts.items() if name.startswith("drop_")),
        "calls_ended": sum(count for name, count in counts.items() if name.startswith("ended_")),
        "left": left,
    }


def fuzz_sdp(messages: int, seed: int = 1) -> dict[str, Any]:
    """Read damaged session descriptions, answer the readable ones, and take them as answers to ours."""
    mutator = Mutator(SDP_SEEDS, seed)
    outcomes: Counter[str] = Counter()
    examples: list[str] = []
    spent = Microseconds()
    ours = make_offer(_ABILITIES)
    with _no_collector():
        for number in range(messages):
            if number % _COLLECT_EVERY == 0:
                gc.collect(1)
            data = mutator.next()
            began = time.thread_time_ns()
            try:
                session = parse_sdp(data)
                outcome = "read"
                negotiate(session, _ABILITIES).answer.to_bytes()
                outcome = "agreed"
                accept_answer(ours, session)
                outcome = "agreed both ways"
            except SipError as error:
                outcome = str(error.status)
            except Exception as error:
                outcome = "exception"
                examples.append(f"{error!r} on {data[:2000]!r}")
            spent.add(time.thread_time_ns() - began)
            outcomes[outcome] += 1
    return {
        "messages": messages,
        "exceptions": outcomes["exception"],
        "examples": examples[:20],
        "us_per_message": {
            "p50": spent.percentile(0.5),
            "p99.9": spent.percentile(0.999),
            "max": round(spent.most),
        },
        "outcomes": dict(sorted(outcomes.items())),
    }


SDP_SEEDS: tuple[bytes, ...] = (
    OFFER,
    b"v=0\r\no=- 20518 0 IN IP4 203.0.113.1\r\ns= \r\nt=0 0\r\nc=IN IP4 203.0.113.1\r\n"
    b"a=group:BUNDLE 0 1\r\nm=audio 54400 RTP/SAVPF 0 8 96 13\r\na=mid:0\r\na=rtpmap:96 opus/48000/2\r\n"
    b"a=fmtp:96 useinbandfec=1\r\na=ptime:20\r\na=rtcp:54401 IN IP4 203.0.113.1\r\na=rtcp-mux\r\n"
    b"a=setup:actpass\r\na=fingerprint:sha-1 AB\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abcd|2^31\r\n"
    b"m=video 55400 RTP/SAVPF 97\r\na=mid:1\r\na=rtpmap:97 H264/90000\r\na=inactive\r\n",
    b"v=0\r\no=a 1 2 IN IP6 2001:db8::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\nb=AS:84\r\nt=0 0\r\n"
    b"m=audio 6000/2 RTP/AVP 9 101\r\na=rtpmap:9 G722/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
    b"a=fmtp:101 0-16\r\na=sendonly\r\nm=image 0 udptl t38\r\n",
)


def resident_kb() -> int:
    """Return the resident memory of this process; 0 where the system does not tell."""
    try:
        fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    except OSError:
        return 0
    return int(fields[1]) * 4
