"""PURE. A challenged request goes out once more, with credentials (RFC 3261 §22.2, §22.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voiceagent.sip.auth.digest_account import ANSWER_IN, Chain, DigestAccount
from voiceagent.sip.syntax.message import Request, Response

if TYPE_CHECKING:
    from voiceagent.sip.dialogs.dialog import Dialog
    from voiceagent.sip.endpoint_core import Core, HeaderLines
    from voiceagent.sip.transaction import ClientTransaction


def once_more(core: Core, client: ClientTransaction, number: int) -> Request:
    """Return a copy of what ``client`` sent, as a new request: branch, CSeq ``number`` (§8.1.3.5)."""
    sent = client.request
    again = Request(sent.method, sent.uri, sent.headers.copy(), sent.body)
    again.headers.set("Via", core.via(client.destination))
    again.headers.set("CSeq", f"{number} {sent.method}")
    return again


def credentials_of(request: Request) -> HeaderLines:
    """Return the credentials of an INVITE: the ACK for its 2xx carries the same (§13.2.2.4)."""
    return tuple((name, value) for name, value in request.headers.items() if name in ANSWER_IN.values())


def answer_in_dialog(
    core: Core, dialog: Dialog, client: ClientTransaction, account: DigestAccount, chain: Chain | None = None
) -> None:
    """Let ``client``, a request within a dialog that we began over a trunk, answer its challenges."""
    tried = Chain() if chain is None else chain

    def challenged(response: Response) -> ClientTransaction | None:
        again = once_more(core, client, dialog.local_seq + 1)
        if not account.answer(again, response, client.destination.host, tried):
            return None
        dialog.local_seq += 1
        core.counts["challenges_answered"] += 1
        successor = core.open_client(again, client.destination)
        if client.otherwise is not None and successor.otherwise is None:
            successor.otherwise = again, client.otherwise[1]
        answer_in_dialog(core, dialog, successor, account, tried)
        return successor

    client.on_challenge = challenged
