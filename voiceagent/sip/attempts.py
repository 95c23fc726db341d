"""PURE. One request of ours, tried at one address after the other (RFC 3263 §4.3).

The next candidate gets the same request with a new branch after a transport failure, a 503, or silence until
timer B or F. Every other response is the answer, and ends the search.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from voiceagent.sip.address import Address
from voiceagent.sip.auth.authorise import once_more
from voiceagent.sip.auth.digest_account import Chain, DigestAccount
from voiceagent.sip.endpoint_core import Core, HeaderLines
from voiceagent.sip.syntax.message import Request, Response
from voiceagent.sip.transaction import ClientTransaction
from voiceagent.sip.transaction.reply import fields_of

UNREACHABLE = 503
"""The status that a transport failure counts as (§8.1.3.1)."""
SILENT = 408


class Attempts:
    """``build(destination)`` makes the request for one candidate: only its Via and Contact may differ.

    ``on_response`` gets every response but a 503 that leads to the next candidate;
    ``on_failure(status, why)`` is called once, when the last one failed (503: out of reach, 408: silent).
    """

    __slots__ = (
        "_account",
        "_build",
        "_chain",
        "_core",
        "_number",
        "_on_failure",
        "_on_response",
        "_on_start",
        "_waiting",
        "client",
        "stopped",
    )

    def __init__(
        self,
        core: Core,
        candidates: Sequence[Address],
        build: Callable[[Address], Request],
        *,
        on_response: Callable[[Response, ClientTransaction], None],
        on_failure: Callable[[int, str], None],
        on_start: Callable[[ClientTransaction], None] = lambda client: None,
        account: DigestAccount | None = None,
    ) -> None:
        """``on_start`` is told each transaction before its request leaves. ``candidates`` is not empty.

        With an ``account`` the challenges of its trunk are answered, or answered ahead of being asked.
        """
        self._core = core
        self._build = build
        self._on_response = on_response
        self._on_failure = on_failure
        self._on_start = on_start
        self._account = account
        self._chain = Chain()
        self._number = 0
        """CSeq number of the last repetition with credentials: no candidate after it may get a lower one."""
        self._waiting = list(reversed(candidates))
        self.stopped = False
        """Set by the owner: the request is not wanted any more, no further candidate is tried."""
        self.client: ClientTransaction = self._next()

    def _next(self) -> ClientTransaction:
        """Open the next candidate's transaction, to be started by :meth:`start`."""
        core = self._core
        destination = core.flows.through(self._waiting.pop())
        request = self._build(destination)
        if self._number:
            self._number += 1
            request.headers.set("CSeq", f"{self._number} {request.method}")
        if self._account is not None:
            self._chain = Chain()
            self._account.prepare(request, destination.host)
        return self._open(request, destination)

    def _open(self, request: Request, destination: Address) -> ClientTransaction:
        client = self._core.open_client(request, destination)
        client.on_response = lambda response: self._answered(client, response)
        client.on_timeout = lambda: self._failed(SILENT, "Request Timeout")
        client.on_unreachable = lambda why: self._failed(UNREACHABLE, why)
        return client

    def start(self) -> None:
        """Send the request to the candidate whose turn it is."""
        self._on_start(self.client)
        self.client.start()

    def _answered(self, client: ClientTransaction, response: Response) -> None:
        if client is self.client:
            if response.status == UNREACHABLE and self._go_on():
                return
            if response.status in (401, 407) and self._answer(client, response):
                return
        self._on_response(response, client)

    def _answer(self, client: ClientTransaction, response: Response) -> bool:
        """Send the request again with what the challenge asks for; False where we have no answer to it."""
        if self._account is None or self.stopped:
            return False
        number = client.request.cseq.number + 1
        again = once_more(self._core, client, number)
        if not self._account.answer(again, response, client.destination.host, self._chain):
            return False
        self._core.counts["challenges_answered"] += 1
        self._number = number
        self.client = self._open(again, client.destination)
        self.start()
        return True

    def _failed(self, status: int, why: str) -> None:
        if not self._go_on():
            self._on_failure(status, why)

    def _go_on(self) -> bool:
        if self.stopped or not self._waiting:
            return False
        self._core.counts["next_candidate"] += 1
        self.client = self._next()
        self.start()
        return True


def send_outside(
    core: Core,
    method: str,
    uri: str,
    candidates: Sequence[Address],
    *,
    from_: str,
    to: str,
    call_id: str,
    number: int,
    on_response: Callable[[Response, ClientTransaction], None],
    on_failure: Callable[[int, str], None],
    routes: Sequence[str] = (),
    contact: Callable[[Address], str] | None = None,
    headers: HeaderLines = (),
    body: bytes = b"",
    content_type: str = "",
    account: DigestAccount | None = None,
) -> Attempts:
    """Send a request outside of dialogs (REGISTER, OPTIONS …) and return it.

    ``from_`` is a whole value with its tag, ``to`` likewise; ``number`` is that of CSeq. ``contact`` makes
    the Contact value for the destination chosen (:meth:`Core.contact`). ``on_response`` gets provisional
    responses, too; its transaction's ``destination`` tells who has answered, and by which connection.
    """

    def build(destination: Address) -> Request:
        lines = [("Via", core.via(destination)), ("Max-Forwards", "70")]
        lines += [("Route", route) for route in routes]
        lines += [("From", from_), ("To", to), ("Call-ID", call_id), ("CSeq", f"{number} {method}")]
        if contact is not None:
            lines.append(("Contact", contact(destination)))
        lines += headers
        if core.config.user_agent:
            lines.append(("User-Agent", core.config.user_agent))
        if body:
            lines.append(("Content-Type", content_type))
        return Request(method, uri, fields_of(lines), body)

    attempts = Attempts(
        core, candidates, build, on_response=on_response, on_failure=on_failure, account=account
    )
    attempts.start()
    return attempts
