"""PURE. One dialog takes the place of another (RFC 3891): matching, refusals, the Refer-To for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voiceagent.errors import SipError
from voiceagent.sip.address import Address
from voiceagent.sip.check import Refusal
from voiceagent.sip.dialogs.dialog import Dialog
from voiceagent.sip.syntax.grammar_scan import Params
from voiceagent.sip.syntax.grammar_values import Replaces
from voiceagent.sip.syntax.message import Request
from voiceagent.sip.syntax.uri import SipUri

if TYPE_CHECKING:
    from voiceagent.sip.dialogs.invite import Leg
    from voiceagent.sip.endpoint_core import Core

TAG = "replaces"
"""The option tag; an endpoint that does not support it does not look at the header."""


def replaced_leg(core: Core, request: Request, source: Address, trunk: str = "") -> Leg | Refusal | None:
    """Return the leg that a new INVITE is to take the place of; None where it names none (RFC 3891 §3).

    The refusals: 400 beside Join, 481 for no such dialog or an early one that we did not begin, 603 for one
    that is over, 486 for a confirmed one where only an early one is wanted, 403 for a source that may
    not: only the dialog's own ``trunk`` may; where there are no trunks, whom the configuration lets.
    """
    replaces = request.replaces
    if replaces is None or TAG not in core.config.supported:
        return None
    if "Join" in request.headers:
        return Refusal(400, "Both Replaces and Join")
    # Tags are compared from our side; "0" stands for the missing tag of a phone of RFC 2543.
    leg = core.dialogs.get((replaces.call_id, replaces.to_tag, replaces.from_tag))
    if leg is None and replaces.from_tag == "0":
        leg = core.dialogs.get((replaces.call_id, replaces.to_tag, ""))
    if leg is None:
        return Refusal(481, "")
    if leg.ended:
        return Refusal(603, "")
    if leg.established:
        if replaces.early_only:
            return Refusal(486, "")
    elif leg.inbound:
        return Refusal(481, "")
    dialog = leg.dialog or leg.early.get(replaces.from_tag)
    if dialog is None:
        return Refusal(481, "")
    if not (leg.trunk == trunk if trunk else core.config.may_replace(dialog.peer, source)):
        core.counts["replaces_refused"] += 1
        return Refusal(403, "")
    return leg


def replaces_of(dialog: Dialog) -> Replaces:
    """Return the header by which somebody else takes our place in ``dialog``: its *other* side reads it."""
    return Replaces(dialog.call_id, to_tag=dialog.remote_tag, from_tag=dialog.local_tag)


def refer_target(uri: str, replaces: Replaces) -> str:
    """Return a Refer-To value that has the referee call ``uri`` with this Replaces, escaped (RFC 3891 §6.1).

    Raises SipError 400 for a URI that cannot carry headers.
    """
    parsed = SipUri.parse(uri)
    if not parsed.is_sip:
        raise SipError(f"{parsed.scheme} URIs cannot carry Replaces", status=400, code="bad_uri")
    return f"<{parsed.replace(headers=Params([('Replaces', str(replaces))]))}>"
