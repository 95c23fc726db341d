"""PURE. The table of live transactions and the matching rules of RFC 3261 §17.1.3 and §17.2.3."""

from __future__ import annotations

from collections.abc import Callable

from voiceagent.sip.address import Address
from voiceagent.sip.syntax.message import Request, Response
from voiceagent.sip.transaction.client import ClientTransaction, InviteClient, NonInviteClient
from voiceagent.sip.transaction.reply import home_address
from voiceagent.sip.transaction.server import InviteServer, NonInviteServer, ServerTransaction
from voiceagent.sip.transaction.wire import Key, Wire


def server_key(request: Request, method: str) -> Key:
    """Return what identifies the server transaction of ``method`` that ``request`` belongs to.

    With the magic cookie: branch, sent-by and method. Without (RFC 2543): Request-URI, From tag, Call-ID,
    CSeq number and the whole top Via. The To tag is left out of the latter, as ours is not yet in the INVITE.
    """
    via = request.via
    if via.is_rfc3261:
        return via.branch, via.sent_by, method
    return (
        request.uri,
        request.from_.tag,
        request.call_id,
        request.cseq.number,
        str(via),
        method,
    )


def merge_key(request: Request) -> Key:
    """Return what two copies of one request share that came along different paths (§8.2.2.2)."""
    cseq = request.cseq
    return request.from_.tag, request.call_id, cseq.number, cseq.method


class TransactionLayer:
    """Creates, finds and forgets transactions. It decides nothing about calls."""

    __slots__ = ("_merged", "clients", "make_ack", "servers", "wire")

    def __init__(self, wire: Wire, make_ack: Callable[[Request, Response], bytes]) -> None:
        self.wire = wire
        self.make_ack = make_ack
        self.servers: dict[Key, ServerTransaction] = {}
        self.clients: dict[Key, ClientTransaction] = {}
        self._merged: dict[Key, ServerTransaction] = {}

    def __len__(self) -> int:
        return len(self.servers) + len(self.clients)

    def find_server(self, key: Key) -> ServerTransaction | None:
        """Return the live transaction that a request repeats, acknowledges (INVITE) or cancels (INVITE)."""
        return self.servers.get(key)

    def is_merged(self, request: Request) -> bool:
        """Tell whether an out-of-dialog request that matches no transaction is a copy of a live one: 482."""
        return merge_key(request) in self._merged

    def open_server(
        self, key: Key, request: Request, source: Address, reply_to: Address
    ) -> ServerTransaction:
        """Create the transaction of a request that matched none. The caller has checked that."""
        kind = InviteServer if request.method == "INVITE" else NonInviteServer
        transaction = kind(
            self.wire, key, request, source, reply_to, self._remove_server, reliable=source.reliable
        )
        if source.flow > 0:
            transaction.home = home_address(request, source)
        self.servers[key] = transaction
        if request.to.tag is None:
            transaction.merge = merge_key(request)
            self._merged.setdefault(transaction.merge, transaction)
        return transaction

    def open_client(self, request: Request, destination: Address) -> ClientTransaction:
        """Create the transaction of a request of ours, not started yet. Its branch is new by construction."""
        key = (request.via.branch, request.method)
        if request.method == "INVITE":
            transaction = InviteClient(
                self.wire,
                key,
                request,
                destination,
                self._remove_client,
                reliable=destination.reliable,
                make_ack=self.make_ack,
            )
        else:
            transaction = NonInviteClient(
                self.wire, key, request, destination, self._remove_client, reliable=destination.reliable
            )
        self.clients[key] = transaction
        return transaction

    def find_client(self, response: Response) -> ClientTransaction | None:
        """Return the transaction that ``response`` answers, by branch and CSeq method (§17.1.3)."""
        return self.clients.get((response.via.branch, response.cseq.method))

    def unreachable(self, address: Address, reason: str) -> int:
        """Fail the requests that wait for ``address``; return how many there were."""
        waiting = [client for client in self.clients.values() if client.waits_on(address)]
        for client in waiting:
            client.unreachable(reason)
        return len(waiting)

    def _remove_server(self, transaction: ServerTransaction) -> None:
        self.servers.pop(transaction.key, None)
        if transaction.merge is not None and self._merged.get(transaction.merge) is transaction:
            del self._merged[transaction.merge]

    def _remove_client(self, transaction: ClientTransaction) -> None:
        self.clients.pop(transaction.key, None)
