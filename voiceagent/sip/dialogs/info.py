"""PURE. INFO within a dialog (RFC 2976 usage for DTMF): answered at once, then told."""

from __future__ import annotations

from voiceagent.sip.dialogs.invite import Leg
from voiceagent.sip.effects import InfoReceived
from voiceagent.sip.endpoint_core import Core
from voiceagent.sip.transaction import ServerTransaction


def take_info(core: Core, leg: Leg, transaction: ServerTransaction) -> None:
    """200 and InfoReceived for the types we know; 200 for an empty one; 415 with Accept for others.

    An INFO with Info-Package belongs to a framework we do not offer: 469 (RFC 6086 §4.2.2).
    """
    request = transaction.request
    if "Info-Package" in request.headers:
        core.respond(transaction, 469, headers=(("Recv-Info", ""),))
        return
    if not request.body:
        core.respond(transaction, 200)
        return
    content_type = request.content_type or ""
    if content_type not in core.config.info_types:
        core.respond(transaction, 415, headers=(("Accept", ", ".join(core.config.info_types)),))
        return
    core.respond(transaction, 200)
    if not leg.ended:
        core.emit(InfoReceived(leg.id, content_type, request.body))


def send_info(core: Core, leg: Leg, content_type: str, body: bytes) -> None:
    """Send INFO; its outcome is only counted, as DTMF cannot be taken back."""
    if leg.dialog is None:
        return
    client = core.in_dialog(leg.dialog, "INFO", contact=leg.contact, body=body, content_type=content_type)
    client.on_response = lambda response: (
        core.counts.update(("info_refused",)) if response.status >= 300 else None
    )
    client.on_timeout = lambda: core.counts.update(("info_unanswered",))
    client.start()
