"""One SIP endpoint, peers that may do anything well-formed at any time, and a clock: one seeded program."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from voiceagent.bench.sip_peer import ANSWER, OFFER, OURS, PEER, Peer, from_callee, reply
from voiceagent.bench.sip_promises import Watcher
from voiceagent.errors import SipError
from voiceagent.ids import counted_tokens
from voiceagent.sip.config import EndpointConfig
from voiceagent.sip.effects import ReferReceived, SendDatagram, SipEffect
from voiceagent.sip.endpoint import SipEndpoint
from voiceagent.sip.syntax.message import Response
from voiceagent.sip.syntax.parser import parse_datagram

SETTLED_S = 110.0
"""By then everything is gone: ACK wait, BYE and the rest of a transaction, 64·T1 each, and some."""

_ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "ring": (),
    "accept": (ANSWER,),
    "reject": (486, ""),
    "hang_up": (),
    "cancel": (),
    "offer": (OFFER,),
    "update": (OFFER,),
    "answer_offer": (ANSWER,),
    "refuse_offer": (488,),
    "refer": ("sip:x@127.0.0.1",),
    "accept_refer": (),
    "refuse_refer": (),
    "refer_outcome": (200, "OK"),
    "send_info": ("application/dtmf", b"1"),
    "probe": (),
}
# Each command once, and more often those that lead on: a call refused at once has nothing to break.
_COMMANDS = (
    *_ARGUMENTS,
    *("accept",) * 8,
    *("answer_offer", "offer", "update", "refer", "accept_refer") * 2,
    *("ring",) * 4,
)
_REFUSALS = ("no_such_leg", "bad_state", "not_supported")
"""What a command that comes at the wrong time, or to a peer that does not allow it, is refused with."""
_RELIABLE: tuple[tuple[str, ...], ...] = ((), ("Supported: 100rel",), ("Require: 100rel",))
_SESSIONS: tuple[tuple[str, ...], ...] = (
    (),
    ("Supported: timer, replaces",),
    ("Supported: timer", "Session-Expires: 90;refresher=uas"),
    ("Supported: timer", "Session-Expires: 90;refresher=uac", "Allow: INVITE, ACK, BYE, UPDATE"),
    ("Supported: timer", "Session-Expires: 60"),
)
_WITHIN = ("BYE", "INVITE", "UPDATE", "INFO", "OPTIONS", "REFER", "NOTIFY", "MESSAGE", "INVITE")
_STATUSES = (100, 180, 183, 200, 200, 200, 202, 302, 408, 422, 481, 486, 487, 491, 500)


class SipWorld:
    """Up to three inbound and two outbound calls; the seed decides everything that happens."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self.now = 0.0
        self.endpoint = SipEndpoint(
            EndpointConfig(
                local=OURS,
                allow_refer=True,
                supported=("replaces", "timer"),
                session_expires=90,
                reliable_provisionals="supported",
                setup_limit=200.0,
                refer_limit=30.0,
            ),
            counted_tokens(),
        )
        self.watcher = Watcher(self.endpoint)
        self._flow = 0
        self._source = PEER
        """Where the peers speak from: UDP, or one TCP connection after the other."""
        if self._rng.random() < 0.3:
            self._connect()
        self.trace: list[str] = []
        """What was done, for the report of a broken promise."""
        self._peers: list[Peer] = []
        self._outbound = 0
        self._sent: list[bytes] = []  # requests of the peers, for repetitions
        self._invites: list[tuple[Peer, int, str]] = []
        self._reliable: list[tuple[Peer, int, int]] = []
        """Reliable provisional responses of the endpoint: to whom, RSeq, CSeq number."""
        self._refers: dict[str, int] = {}
        """By leg: the last REFER that was told."""
        self._acts: tuple[Callable[[], bool], ...] = (
            self._peer_calls,
            self._we_call,
            self._a_call_succeeds,
            self._a_call_succeeds,
            self._peer_repeats,
            self._peer_on_the_invites_branch,
            self._peer_acknowledges,
            self._peer_acknowledges,
            self._peer_within_the_dialog,
            self._peer_within_the_dialog,
            self._peer_answers,
            self._peer_answers,
            self._callee_within_the_dialog,
            self._peer_replaces,
            self._peer_acknowledges_a_provisional,
            self._peer_acknowledges_a_provisional,
            self._we_command,
            self._we_command,
            self._we_command,
            self._time_passes,
            self._time_passes,
        )

    def step(self) -> None:
        """Let one thing happen."""
        while not self._rng.choice(self._acts)():
            pass

    def finish(self) -> None:
        """Hang up every call, wait, and look for what is left."""
        for leg in self.watcher.legs:
            self._command("hang_up", leg)
        self._advance(SETTLED_S)
        self.watcher.over()

    # Acts. Each tells whether it could be done.

    def _peer_calls(self) -> bool:
        if len(self._peers) >= 2:
            return False
        peer = self._new_peer()
        headers: tuple[str, ...] = ()
        if self._rng.random() < 0.02:
            # As many Record-Routes as a datagram takes: no answer to it may be larger than that.
            line = "Record-Route: <sip:" + "r" * 900 + "@127.0.0.1:5090;lr>"
            headers = (line,) * self._rng.choice((30, 68))
            if len(headers) == 68:
                headers = (*headers, "Record-Route: <sip:" + "r" * 1060 + "@127.0.0.1:5090;lr>")
        self._invite(peer, b"" if self._rng.random() < 0.3 else OFFER, headers)
        return True

    def _new_peer(self) -> Peer:
        peer = Peer(f"in-{len(self._peers)}", f"peer-{len(self._peers)}", self._source)
        self._peers.append(peer)
        return peer

    def _peer_replaces(self) -> bool:
        """A new call that is to take the place of another one (RFC 3891)."""
        known = [peer for peer in self._peers if peer.to_tag]
        if not known or len(self._peers) >= 3:
            return False
        other = self._rng.choice(known)
        replaces = f"Replaces: {other.call_id};to-tag={other.to_tag};from-tag={other.tag}"
        self._invite(self._new_peer(), OFFER, (replaces,))
        return True

    def _connect(self) -> None:
        self._flow += 1
        self._source = PEER._replace(transport="tcp", flow=self._flow)
        self.watcher.outgoing(self.endpoint.flow_opened(self._source, self.now), self.now)

    def _invite(self, peer: Peer, body: bytes, headers: tuple[str, ...] = ()) -> None:
        branch = peer.branch()
        headers = (*headers, *self._rng.choice(_SESSIONS), *self._rng.choice(_RELIABLE))
        data = peer.request("INVITE", body, *headers, branch=branch)
        self._invites.append((peer, peer.number, branch))
        self._receive(data, "INVITE")

    def _we_call(self) -> bool:
        if self._outbound >= 2:
            return False
        self._outbound += 1
        self.trace.append("we call")
        leg, effects = self.endpoint.invite(
            "sip:bob@127.0.0.1:5090",
            from_uri="sip:agent@127.0.0.1",
            sdp=OFFER,
            destination=PEER,
            now=self.now,
        )
        self.watcher.placed(leg)
        self.watcher.outgoing(effects, self.now)
        return True

    def _a_call_succeeds(self) -> bool:
        """What usually happens: the endpoint accepts and hears the ACK, or is answered."""
        legs = [leg for leg in self.watcher.legs if leg not in self.watcher.ended]
        if not legs:
            return False
        self._command("accept", self._rng.choice(legs))
        if self._invites and self._rng.random() < 0.7:
            peer, number, _ = self._invites[-1]
            self._receive(peer.request("ACK", ANSWER, number=number), "ACK", keep=False)
        ours = [request for request in self.watcher.requests[-4:] if request.method == "INVITE"]
        if ours:
            self._receive(reply(ours[-1], 200, ANSWER), "200 INVITE", keep=False)
        return True

    def _peer_repeats(self) -> bool:
        if not self._sent:
            return False
        self._receive(self._rng.choice(self._sent[-6:]), "again", keep=False)
        return True

    def _peer_on_the_invites_branch(self) -> bool:
        if not self._invites:
            return False
        peer, number, branch = self._rng.choice(self._invites)
        method = self._rng.choice(("CANCEL", "ACK"))
        tag = "" if method == "CANCEL" else None
        self._receive(peer.request(method, number=number, branch=branch, to_tag=tag), method, keep=False)
        return True

    def _peer_acknowledges(self) -> bool:
        if not self._invites:
            return False
        peer, number, _ = self._rng.choice(self._invites[-3:])
        body = ANSWER if self._rng.random() < 0.5 else b""
        self._receive(peer.request("ACK", body, number=number), "ACK", keep=False)
        return True

    def _peer_within_the_dialog(self) -> bool:
        peers = [peer for peer in self._peers if peer.to_tag]
        if not peers:
            return False
        peer = self._rng.choice(peers)
        peer.number = max(1, peer.number + self._rng.choice((0, 0, 0, 5, -2)))
        method = self._rng.choice(_WITHIN)
        if method == "INVITE":
            self._invite(peer, b"" if self._rng.random() < 0.2 else OFFER)
            return True
        body, content_type, headers = b"", "application/sdp", ()
        if method == "UPDATE" and self._rng.random() < 0.7:
            body = OFFER
        elif method == "INFO":
            body, content_type = b"5", "application/dtmf"
        elif method == "REFER":
            headers = ("Refer-To: <sip:200@127.0.0.1>",)
        elif method == "NOTIFY":
            state = self._rng.choice(("active;expires=60", "terminated;reason=noresource"))
            headers = ("Event: refer", f"Subscription-State: {state}")
            body, content_type = b"SIP/2.0 200 OK\r\n", "message/sipfrag"
        self._receive(peer.request(method, body, *headers, content_type=content_type), method)
        return True

    def _peer_answers(self) -> bool:
        requests = self.watcher.requests
        if not requests:
            return False
        request = requests[-1 - min(len(requests) - 1, int(self._rng.expovariate(0.5)))]
        status = self._rng.choice(_STATUSES)
        body = ANSWER if request.method == "INVITE" and status in (183, 200) else b""
        tag = "callee" if self._rng.random() < 0.8 else "other"
        headers = ("Min-SE: 120",) if status == 422 else self._rng.choice(_SESSIONS)
        if status in (180, 183) and self._rng.random() < 0.4:
            headers = (*headers, "Require: 100rel", f"RSeq: {self._rng.randint(1, 3)}")
        self._receive(
            reply(request, status, body, *headers, tag=tag), f"{status} {request.method}", keep=False
        )
        return True

    def _peer_acknowledges_a_provisional(self) -> bool:
        """PRACK for the last reliable response, now and then with a wrong number (RFC 3262 §3)."""
        if not self._reliable:
            return False
        peer, rseq, number = self._reliable[-1]
        wrong = self._rng.random() < 0.1
        self._receive(peer.request("PRACK", b"", f"RAck: {rseq + wrong} {number} INVITE"), "PRACK")
        return True

    def _callee_within_the_dialog(self) -> bool:
        acks = [request for request in self.watcher.requests[-12:] if request.method == "ACK"]
        acks = [ack for ack in acks if ack.to.tag]
        if not acks:
            return False
        ack = self._rng.choice(acks)
        method = self._rng.choice(("BYE", "INVITE", "INFO", "UPDATE", "OPTIONS"))
        body = OFFER if method in ("INVITE", "UPDATE") else b""
        branch = f"z9hG4bK-callee-{len(self.trace)}"
        self._receive(from_callee(ack, method, self._rng.randint(1, 9), branch, body), f"callee's {method}")
        return True

    def _we_command(self) -> bool:
        if not self.watcher.legs:
            return False
        self._command(self._rng.choice(_COMMANDS), self._rng.choice(self.watcher.legs))
        return True

    def _time_passes(self) -> bool:
        if self._flow and self._rng.random() < 0.1:
            self.trace.append("the connection is lost")
            self._taken(self.endpoint.flow_closed(self._source, self.now))
            self._connect()
        self._advance(self._rng.choice((0.1, 0.1, 0.5, 0.5, 2.0, 5.0, 33.0)))
        return True

    # The road to the endpoint.

    def _receive(self, data: bytes, what: str, *, keep: bool = True) -> None:
        self.trace.append(f"peer: {what}")
        if keep:
            self._sent.append(data)
        self.watcher.incoming(data)
        self._taken(self.endpoint.receive(data, self._source, self.now))

    def _taken(self, effects: list[SipEffect]) -> None:
        for effect in effects:
            if isinstance(effect, ReferReceived):
                self._refers[effect.leg] = effect.refer
            if isinstance(effect, SendDatagram) and effect.data.startswith(b"SIP/2.0 "):
                message = parse_datagram(effect.data)
                tag = message.to.tag if isinstance(message, Response) else None
                for peer in self._peers:
                    if tag and isinstance(message, Response) and message.call_id == peer.call_id:
                        peer.to_tag = tag
                        rseq = message.headers.get("RSeq")
                        if rseq is not None:
                            self._reliable.append((peer, int(rseq), message.cseq.number))
        self.watcher.outgoing(effects, self.now)

    def _command(self, name: str, leg: str) -> None:
        self.trace.append(f"we: {name} {leg}")
        arguments = _ARGUMENTS[name]
        if name == "accept_refer":
            arguments = (self._refers.get(leg, 1),)
        elif name == "ring" and self._rng.random() < 0.7:
            self._taken(self.endpoint.ring(leg, self.now, 183, ANSWER))
            if self._rng.random() < 0.5:
                self._taken(self.endpoint.ring(leg, self.now))
            return
        elif name == "refuse_refer":
            arguments = (self._refers.get(leg, 1), 603)
        try:
            effects = getattr(self.endpoint, name)(leg, *arguments, now=self.now)
        except SipError as error:
            if error.code not in _REFUSALS:
                raise
            return
        self._taken(effects)

    def _advance(self, seconds: float) -> None:
        self.trace.append(f"{seconds} s")
        until = self.now + seconds
        while (due := self.endpoint.wake_at()) is not None and due <= until:
            self.now = max(self.now, due)
            self.watcher.outgoing(self.endpoint.wake(self.now), self.now)
        self.now = until
        self.watcher.time_passed(until)
