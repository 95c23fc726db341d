"""PURE. What session timers do to a leg (RFC 4028 §10): refresh by UPDATE or re-INVITE, and the end."""

from __future__ import annotations

from voiceagent.sip.dialogs.invite import Leg, OurOffer, hang_up_established
from voiceagent.sip.dialogs.invite_offer import send_offer
from voiceagent.sip.dialogs.session_timer import SessionTimer
from voiceagent.sip.endpoint_core import Core

_BUSY_S = 2.0  # another exchange is under way: its 2xx refreshes the session as well


def watch_session(core: Core, leg: Leg) -> None:
    """Give a new leg its session timer, where the configuration wants one."""
    if core.config.session_expires:
        leg.session = SessionTimer(
            core.wire, core.config, lambda: _refresh(core, leg), lambda: _expired(core, leg)
        )


def _refresh(core: Core, leg: Leg) -> None:
    """Ask the peer whether the session still stands: UPDATE where it takes it, else the same SDP again."""
    session = leg.session
    if session is None or leg.ended or leg.dialog is None:
        return
    if leg.our_offer is not None or leg.peer_offer is not None or leg.ack_wait is not None:
        session.refresh_in(_BUSY_S)
    elif leg.abilities.takes("UPDATE") or leg.local_sdp is None:
        send_offer(core, leg, OurOffer(None, "UPDATE", refresh=True))
    else:
        send_offer(core, leg, OurOffer(leg.local_sdp, refresh=True))


def _expired(core: Core, leg: Leg) -> None:
    if leg.ended or not leg.established:
        return
    core.counts["sessions_expired"] += 1
    hang_up_established(
        core, leg, 'SIP;cause=408;text="session expired"', by="expired", status=408, said="session expired"
    )
