"""PURE. Our registration at a trunk (RFC 3261 §10.2): made, refreshed, moved to another server, taken back.

One server at a time is asked; a transport failure, silence or 5xx moves on to the next. When all of them have
failed, the pause is 30 s, 60 s … 30 min. A refused password is tried again only twice an hour.
"""

from __future__ import annotations

from collections.abc import Callable

from voiceagent.errors import SipError
from voiceagent.sip.address import Address
from voiceagent.sip.attempts import Attempts, send_outside
from voiceagent.sip.dialogs.dialog import address_of
from voiceagent.sip.effects import TrunkState
from voiceagent.sip.endpoint_core import Core
from voiceagent.sip.syntax.grammar_scan import parse_int
from voiceagent.sip.syntax.message import Response
from voiceagent.sip.timers import Timer
from voiceagent.sip.transaction import ClientTransaction
from voiceagent.sip.trunk.trunks import Trunk

ANSWER_LIMIT_S = 10.0
"""How long one server may take; timer F would wait 32 s before the next one is tried."""
FIRST_PAUSE_S = 30.0
LONGEST_PAUSE_S = 1800.0
REFUSED_PAUSE_S = 1800.0
"""Before a password that was refused is tried again: it will be refused again, and may lock the account."""
REFRESH_AT = 0.9
"""Of the time granted, when the refresh is sent; earlier by up to a tenth, so that many are spread."""
MOST_EXPIRES_S = 86_400
_MARGIN_S = 5.0
_REFUSALS = frozenset({401, 403, 407})
_PERMANENT = frozenset({400, 404, 405, 410, 414, 416, 420, 484, 485, 501, 505, 513})


class Registration:
    """One trunk's registration. ``state`` is one of those of :class:`~voiceagent.sip.effects.TrunkState`."""

    def __init__(self, core: Core, trunk: Trunk) -> None:
        self._core = core
        self._trunk = trunk
        self.state = "registering"
        self.detail = ""
        self.server: Address | None = None
        """Who has registered us, by which connection."""
        self._next = 0
        self._failed_in_a_row = 0
        self._rounds = 0
        self._number = 0
        self._call_id = core.tokens()
        self._tag = core.tokens()
        self._expires = min(trunk.expires_s, MOST_EXPIRES_S)
        self._raised = False
        self._attempts: Attempts | None = None
        self._timer: Timer | None = None
        self._closing = False

    def open(self) -> None:
        """Register now."""
        self._send(self._expires)

    def close(self) -> None:
        """Take the registration back; ``unregistered`` is told when that is done or was not needed."""
        self._closing = True
        self._quiet()
        if self.server is None:
            self._tell("unregistered")
        else:
            self._send(0)

    def flow_lost(self, flow: int) -> None:
        """The connection of our registration is gone: calls could not reach us (RFC 5626 §4.2.1)."""
        if self.server is None or self.server.flow != flow or self._closing:
            return
        self.server = None
        self._quiet()
        self._tell("registering", "the connection was lost")
        # Everybody behind a server that fell loses it in the same moment.
        self._at(self._core.dice(2001) / 1000, lambda: self._send(self._expires))

    def moved(self, trunk: Trunk) -> None:
        """The trunk has other servers now: register with one of them, where it is not done yet."""
        former, self._trunk = self._trunk, trunk
        if self._closing or {one[:3] for one in former.servers} == {one[:3] for one in trunk.servers}:
            return
        if self.server is not None and self.server[:3] in {one[:3] for one in trunk.servers}:
            return
        self.server = None
        self._next = self._failed_in_a_row = self._rounds = 0
        if self.state == "refused":
            return  # by them all, until it is time to ask again
        self._tell("registering", trunk.trouble or "its servers have changed")
        self._send(self._expires)

    # One REGISTER.

    def _send(self, expires: int) -> None:
        core, trunk = self._core, self._trunk
        self._quiet()
        if self.server is None and not trunk.servers:
            return  # moved() goes on
        server = self.server or trunk.servers[self._next % len(trunk.servers)]
        own = f"sip:{trunk.username or trunk.from_user}@{trunk.uri().removeprefix('sip:').partition(';')[0]}"
        self._number += 1
        self._attempts = send_outside(
            core,
            "REGISTER",
            trunk.uri(),
            [server],
            from_=f"<{own}>;tag={self._tag}",
            to=f"<{own}>",
            call_id=self._call_id,
            number=self._number,
            contact=lambda to: core.contact(to, trunk.username or trunk.from_user),
            headers=(("Expires", str(expires)), ("Allow", core.allow(trunk.name))),
            on_response=self._answered,
            on_failure=lambda status, why: self._failed(why),
            account=core.accounts.get(trunk.name),
        )
        core.counts["registers_sent"] += 1
        self._at(ANSWER_LIMIT_S, lambda: self._failed("no answer"))

    def _answered(self, response: Response, client: ClientTransaction) -> None:
        status = response.status
        if status < 200 or self._attempts is None:
            return
        self._number = client.request.cseq.number
        self._attempts = None
        self._quiet()
        if self._closing:
            self.server = None
            self._tell("unregistered", "" if status < 300 else f"{status} {response.reason}")
        elif status < 300:
            self._registered(response, client)
        elif status == 423 and self._longer(response):
            self._send(self._expires)
        elif status in _REFUSALS:
            self._refused(f"{status} {response.reason}")
        elif status in _PERMANENT:
            self._refused(f"{status} {response.reason}; it will not change by itself")
        else:
            self._failed(f"{status} {response.reason}", _retry_after(response))

    def _registered(self, response: Response, client: ClientTransaction) -> None:
        granted = self._granted(response, client)
        if granted <= 0:
            self._failed("200, but without our Contact")
            return
        self.server = client.destination
        self._failed_in_a_row = self._rounds = 0
        self._raised = False
        self._tell("registered", f"by {client.destination.host}:{client.destination.port} for {granted} s")
        early = granted * 0.1 * self._core.dice(1001) / 1000
        latest = max(granted * 0.5, min(granted * REFRESH_AT, granted - _MARGIN_S))
        self._at(max(1.0, min(latest, latest - early)), lambda: self._send(self._expires))

    def _granted(self, response: Response, client: ClientTransaction) -> int:
        """Return the seconds granted: those of our Contact, else of Expires, else what we asked for."""
        try:
            asked = client.request.contact
            ours = None if asked is None else address_of(asked.uri_text)
            contacts = response.contacts
            for contact in contacts:
                if asked is not None and (
                    contact.uri_text == asked.uri_text
                    or (ours is not None and address_of(contact.uri_text) == ours)
                ):
                    own = contact.params.get("expires")
                    if own:
                        return min(parse_int(own, "expires"), MOST_EXPIRES_S)
                    break
            else:
                if contacts:
                    return 0
            expires = response.expires
        except SipError:
            expires = None
        return self._expires if expires is None else min(expires, MOST_EXPIRES_S)

    def _longer(self, response: Response) -> bool:
        """Take Min-Expires of a 423 (§10.2.8), once in a row."""
        if self._raised:
            return False
        try:
            least = parse_int(response.headers.get("Min-Expires") or "", "min_expires")
        except SipError:
            return False
        if not self._expires < least <= MOST_EXPIRES_S:
            return False
        self._raised, self._expires = True, least
        return True

    # When it does not work.

    def _refused(self, detail: str) -> None:
        """Our account is not taken: no other server will, and asking again soon would only do harm."""
        self.server = None
        self._tell("refused", detail)
        self._at(self._spread(REFUSED_PAUSE_S), lambda: self._send(self._expires))

    def _failed(self, detail: str, retry_after: float = 0.0) -> None:
        """Go on to the next server; after the last one pause, each round twice as long."""
        self._quiet()
        if self._closing:
            self.server = None
            self._tell("unregistered", detail)
            return
        failed = self.server or self._trunk.servers[self._next % len(self._trunk.servers)]
        self.server = None
        self._next = (self._next + 1) % len(self._trunk.servers)
        self._failed_in_a_row += 1
        told = f"{failed.host}:{failed.port}: {detail}"
        if self._failed_in_a_row % len(self._trunk.servers):
            self._tell("registering", told)
            self._send(self._expires)
            return
        pause = min(FIRST_PAUSE_S * 2 ** min(self._rounds, 16), LONGEST_PAUSE_S)
        self._rounds += 1
        pause = max(self._spread(pause), retry_after)
        self._tell("failed", f"{told}; again in {pause:.0f} s")
        self._at(pause, lambda: self._send(self._expires))

    def _spread(self, seconds: float) -> float:
        """Return ``seconds`` ± 20 %, so that many of us do not come back in the same moment."""
        return min(seconds * (800 + self._core.dice(401)) / 1000, LONGEST_PAUSE_S)

    # Inner workings.

    def _tell(self, state: str, detail: str = "") -> None:
        if (state, detail) != (self.state, self.detail) or state == "unregistered":
            self.state, self.detail = state, detail
            self._core.emit(TrunkState(self._trunk.name, "registration", state, detail))

    def _at(self, delay: float, action: Callable[[], None]) -> None:
        timers = self._core.wire.timers
        timers.cancel(self._timer)
        self._timer = timers.at(self._core.wire.now + delay, action)

    def _quiet(self) -> None:
        """Wait for nothing any more; an unanswered REGISTER is given up."""
        self._core.wire.timers.cancel(self._timer)
        self._timer = None
        attempts, self._attempts = self._attempts, None
        if attempts is not None:
            attempts.stopped = True
            attempts.client.terminate()


def _retry_after(response: Response) -> float:
    value = (response.headers.get("Retry-After") or "").partition(";")[0].partition("(")[0].strip()
    try:
        return float(min(parse_int(value, "retry_after"), LONGEST_PAUSE_S))
    except SipError:
        return 0.0
