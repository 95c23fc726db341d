"""The four transaction machines of RFC 3261 §17 with the Accepted state of RFC 6026, and their table."""

from __future__ import annotations

from voiceagent.sip.transaction.client import ClientTransaction, InviteClient, NonInviteClient
from voiceagent.sip.transaction.layer import TransactionLayer
from voiceagent.sip.transaction.server import InviteServer, NonInviteServer, ServerTransaction

__all__ = [
    "ClientTransaction",
    "InviteClient",
    "InviteServer",
    "NonInviteClient",
    "NonInviteServer",
    "ServerTransaction",
    "TransactionLayer",
]
