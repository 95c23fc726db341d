"""What every route of the console shares, and how it gets at it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

from fastapi import Depends
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse

from voiceagent.cluster.tickets import TicketDesk
from voiceagent.console.audit import AuditDesk
from voiceagent.console.auth import NOBODY, Policy, Visitor
from voiceagent.console.config import ConsoleConfig
from voiceagent.console.identity import Identity
from voiceagent.console.limits import RateLimit
from voiceagent.console.listeners import Listeners
from voiceagent.console.live import Streams
from voiceagent.console.ports import CallView, Directory, Phones, Webhooks
from voiceagent.console.ports_drain import Drain
from voiceagent.console.ports_erasure import Erasures
from voiceagent.console.ports_notify import OutgoingWebhooks
from voiceagent.console.problems import FLEET_ERRORS, Problem, call_ended, too_low, unknown_call
from voiceagent.console.rights import LEAST_ROLE, WEBSOCKET, Right, right_of_route
from voiceagent.errors import CallEnded
from voiceagent.records.objects import ObjectStore
from voiceagent.store import Database, DatabaseDown

if TYPE_CHECKING:
    from sqlalchemy import Connection

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Parts:
    """The console's own things, hung on ``app.state.parts``."""

    directory: Directory
    config: ConsoleConfig
    policy: Policy
    identity: Identity
    audit: AuditDesk
    streams: Streams
    listeners: Listeners
    triggers: RateLimit
    sign_ins: RateLimit
    metrics: Callable[[], Iterable[str]] | None
    webhooks: Webhooks | None = None
    phones: Phones | None = None
    database: Database | None = None
    outgoing: OutgoingWebhooks | None = None
    tickets: TicketDesk | None = None
    store: ObjectStore | None = None
    erasures: Erasures | None = None
    drain: Drain | None = None


class AsciiJson(JSONResponse):
    """JSON in ASCII: what callers and models say cannot break the encoding, or hide in it."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii")


def parts_of(request: HTTPConnection) -> Parts:
    """Return the console's parts."""
    return cast("Parts", request.app.state.parts)


def visitor_of(request: HTTPConnection) -> Visitor:
    """Return who asks, as the guard found them."""
    return cast("Visitor", request.scope.get("state", {}).get("visitor", NOBODY))


def as_routed(request: HTTPConnection) -> None:
    """Ask again, now for the right of the very route that was found: the door judged by the address alone.

    Raises the 403. Whoever is let in without a right (metrics from this machine) was judged at the door.
    """
    scope = request.scope
    method = WEBSOCKET if scope["type"] == "websocket" else scope["method"]
    needed = right_of_route(method, scope["route"].path)
    role = visitor_of(request).role
    if needed is not Right.METRICS and not role.covers(LEAST_ROLE[needed]):
        raise too_low(role, needed)


PartsIn = Annotated[Parts, Depends(parts_of)]
VisitorIn = Annotated[Visitor, Depends(visitor_of)]


async def call_or_404(directory: Directory, call_id: str) -> CallView:
    """Return the call, or raise the 404."""
    try:
        return await directory.call(call_id)
    except KeyError:
        raise unknown_call(call_id) from None


async def ended(directory: Directory, call_id: str, error: CallEnded) -> Problem:
    """Return the 409 with the call's outcome, as far as the directory still knows it."""
    outcome: Mapping[str, Any] | None
    try:
        outcome = (await directory.call(call_id)).outcome
    except (KeyError, *FLEET_ERRORS):
        outcome = None
    return call_ended(call_id, error, outcome)


def limit(rate: RateLimit, key: str, what: str) -> None:
    """Raise the 429 when ``key`` is too fast."""
    wait = rate.take(key, loop_time())
    if wait > 0:
        seconds = max(1, round(wait + 0.5))
        raise Problem(
            429,
            "too_many_requests",
            f"Too many {what}; try again in {seconds} s.",
            headers={"Retry-After": str(seconds)},
        )


def loop_time() -> float:
    """Return the time of the loop's clock, in seconds."""
    return asyncio.get_running_loop().time()


def peer_of(request: HTTPConnection) -> str:
    """Return the address that a request comes from."""
    return request.client.host if request.client else ""


def audit(request: HTTPConnection, action: str, target: str = "", **details: Any) -> None:
    """Keep who did what, to what, and from where: one line of the audit log."""
    parts_of(request).audit.note(visitor_of(request), peer_of(request), action, target, **details)


FORBIDDEN = frozenset({"denied_target", "target_not_allowed", "destination_calls", "no_consent"})
"""Refusals that are kept in the audit log: somebody wanted to have somebody called who may not be."""


def database_down(down: DatabaseDown) -> Problem:
    """Return the 503 for what needs the database while it is away."""
    return Problem(503, "database_down", f"{down}.", headers={"Retry-After": "5"})


async def ask_database(parts: Parts, work: Callable[[Connection], Result]) -> Result:
    """Do ``work`` with the database; raises the 503 while it is away, and what ``work`` raises."""
    try:
        return await parts.identity.read(work)
    except DatabaseDown as down:
        raise database_down(down) from None
