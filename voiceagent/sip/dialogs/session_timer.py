"""PURE. Session timers (RFC 4028): what two user agents agree on, and the timers that follow from it.

Each 2xx to INVITE, re-INVITE or UPDATE settles the *terms* anew: an interval, and who refreshes. The
refresher asks at half of the interval; without a refresh the session ends a third of the interval (at most
32 s) before it is over (§10). With a peer that knows nothing of session timers we refresh by ourselves,
unless ``session_refresher`` is ``peer``; then a refusal says that it is there, and only a lost dialog (408,
481, silence) ends the call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from voiceagent.errors import SipError
from voiceagent.sip.dialogs.abilities import tags_of
from voiceagent.sip.syntax.grammar_scan import parse_int
from voiceagent.sip.syntax.message import Request, Response
from voiceagent.sip.timers import Timer
from voiceagent.sip.transaction.wire import Wire

if TYPE_CHECKING:
    from voiceagent.sip.config import EndpointConfig
    from voiceagent.sip.dialogs.invite import Leg
    from voiceagent.sip.endpoint_core import Core, HeaderLines

Refresher = Literal["auto", "us", "peer"]

TAG = "timer"
MOST_INTERVAL = 86_400
"""A peer that demands longer sessions than a day (422) is not followed."""
MOST_RAISES = 3
"""How often one call follows a 422: twice is what honest proxies on one path need."""
RETRY_S = 5.0
"""Wait before a refresh that was refused is tried again."""
_END_EARLY_S = 32.0


@dataclass(frozen=True, slots=True)
class SessionTerms:
    """What one 2xx settled."""

    interval: int
    """Seconds."""
    we_refresh: bool
    peer_aware: bool
    """The peer supports session timers: it, too, ends a session that is not refreshed."""

    @property
    def refresh_after(self) -> float:
        """Seconds after which the refresher asks (§7.2)."""
        return self.interval / 2

    @property
    def end_after(self) -> float:
        """Seconds without refresh after which the session is ended (§10)."""
        return self.interval - min(_END_EARLY_S, self.interval / 3)


class SessionTimer:
    """The session timer of one leg. ``on_refresh`` must ask the peer, ``on_expired`` must end the session."""

    __slots__ = (
        "_expiry",
        "_raises",
        "_refresh",
        "interval",
        "min_se",
        "on_expired",
        "on_refresh",
        "refresher",
        "terms",
        "wire",
    )

    def __init__(
        self,
        wire: Wire,
        config: EndpointConfig,
        on_refresh: Callable[[], None],
        on_expired: Callable[[], None],
    ) -> None:
        self.wire = wire
        self.on_refresh = on_refresh
        self.on_expired = on_expired
        self.min_se = config.min_se
        """The smallest interval that everyone heard of on this path takes."""
        self.interval = max(config.session_expires, config.min_se)
        """What we would like."""
        self.refresher: Refresher = config.session_refresher
        self.terms: SessionTerms | None = None
        self._raises = 0
        self._refresh: Timer | None = None
        self._expiry: Timer | None = None

    @property
    def asking(self) -> int:
        """The interval that our next request names."""
        return max(self.interval if self.terms is None else self.terms.interval, self.min_se)

    def start(self, terms: SessionTerms | None) -> None:
        """Begin a new interval; without terms the session does not expire."""
        self.stop()
        self.terms = terms
        if terms is None:
            return
        timers, now = self.wire.timers, self.wire.now
        if terms.we_refresh:
            self._refresh = timers.at(now + terms.refresh_after, self._due)
        if terms.peer_aware:
            self._expiry = timers.at(now + terms.end_after, self._expired)

    def refresh_in(self, delay: float) -> None:
        """Ask again after ``delay`` seconds. The end of the session stays where it is."""
        self.wire.timers.cancel(self._refresh)
        self._refresh = self.wire.timers.at(self.wire.now + delay, self._due)

    def refused(self) -> None:
        """A refresh was refused by a peer that is still there: ask again, or with one unaware, be content."""
        if self.terms is None or self.terms.peer_aware:
            self.refresh_in(RETRY_S)
        else:
            self.start(self.terms)

    def stop(self) -> None:
        """Neither refresh nor expire any more."""
        self.wire.timers.cancel(self._refresh)
        self.wire.timers.cancel(self._expiry)
        self._refresh = self._expiry = None

    def raise_interval(self, response: Response) -> bool:
        """Take the Min-SE of a 422; True when the request is worth another try with it (§7.4)."""
        wanted = min_se_of(response)
        if wanted is None or not self.asking < wanted <= MOST_INTERVAL or self._raises >= MOST_RAISES:
            return False
        self._raises += 1
        self.min_se = wanted
        self.interval = max(self.interval, wanted)
        return True

    def _due(self) -> None:
        self._refresh = None
        self.on_refresh()

    def _expired(self) -> None:
        self._expiry = None
        self.stop()
        self.on_expired()


# What headers say, and what they mean.


def min_se_of(message: Request | Response) -> int | None:
    """Return the value of Min-SE; None where it is absent or malformed."""
    value = message.headers.get("Min-SE")
    if value is None:
        return None
    try:
        return parse_int(value.partition(";")[0].strip(), "min_se")
    except SipError:
        return None


def too_small(core: Core, request: Request) -> HeaderLines:
    """Return the Min-SE line of the 422 that ``request`` earns; nothing when it may go on (§9).

    A caller that does not support timers is never refused: a proxy has put the interval in.
    """
    asked = request.session_expires
    if not core.config.session_expires or asked is None or asked.seconds >= core.config.min_se:
        return ()
    return (("Min-SE", str(core.config.min_se)),) if TAG in tags_of(request) else ()


def request_headers(leg: Leg) -> HeaderLines:
    """Return what an INVITE or UPDATE of ours says of the session's length (§7.1, §7.4)."""
    session = leg.session
    if session is None:
        return ()
    if session.terms is not None:
        refresher = ";refresher=uac" if session.terms.we_refresh else ";refresher=uas"
    else:
        refresher = {"us": ";refresher=uac", "peer": ";refresher=uas"}.get(session.refresher, "")
    return (("Session-Expires", f"{session.asking}{refresher}"), ("Min-SE", str(session.min_se)))


def agree_as_uas(core: Core, leg: Leg, request: Request) -> HeaderLines:
    """Settle the terms with our 2xx to ``request``, start the timers, and return the 2xx's headers (§9)."""
    session = leg.session
    if session is None:
        return ()
    terms = _terms_as_uas(core.config, session, request)
    session.start(terms)
    if terms is None:
        return ()
    value = f"{terms.interval};refresher={'uas' if terms.we_refresh else 'uac'}"
    return (("Session-Expires", value), *((("Require", TAG),) if terms.peer_aware else ()))


def _terms_as_uas(config: EndpointConfig, session: SessionTimer, request: Request) -> SessionTerms | None:
    aware = TAG in tags_of(request)
    asked = request.session_expires
    floor = max(config.min_se, min(min_se_of(request) or 0, MOST_INTERVAL))
    ours = max(session.interval, floor)
    if asked is None:
        interval = ours
    elif asked.seconds < config.min_se:
        return None  # a proxy's wish for a caller without timers: we may neither raise nor keep it
    else:
        interval = max(min(asked.seconds, ours), min(floor, asked.seconds))
    if not aware:
        return None if config.session_refresher == "peer" else SessionTerms(interval, True, False)
    if asked is not None and asked.refresher is not None:
        return SessionTerms(interval, asked.refresher == "uas", True)
    if session.terms is not None and session.terms.peer_aware:
        return SessionTerms(interval, session.terms.we_refresh, True)
    return SessionTerms(interval, config.session_refresher == "us", True)


def agree_as_uac(core: Core, leg: Leg, response: Response) -> None:
    """Settle the terms with the 2xx ``response`` to our INVITE or UPDATE, and start the timers (§7.2)."""
    session = leg.session
    if session is None:
        return
    try:
        said = response.session_expires
    except SipError:
        said = None
    if said is not None:
        # Less than the least that we may be asked for would have us refresh without end.
        interval = min(max(said.seconds, core.config.min_se), MOST_INTERVAL)
        session.start(SessionTerms(interval, said.refresher != "uas", True))
    elif core.config.session_refresher == "peer":
        session.start(None)
    else:
        session.start(SessionTerms(session.interval, True, False))
