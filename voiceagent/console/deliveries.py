"""``/v1/deliveries``: outgoing webhooks, delivered, waiting and dead; dead ones can be tried again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request

from voiceagent.console.models import problems
from voiceagent.console.models_notify import DeliveryList, DeliveryModel
from voiceagent.console.parts import AsciiJson, PartsIn, ask_database, audit
from voiceagent.console.problems import Problem
from voiceagent.console.views import plain
from voiceagent.store import outbox
from voiceagent.store.outbox import Delivery

if TYPE_CHECKING:
    from sqlalchemy import Connection

router = APIRouter(tags=["webhooks"])


def delivery_data(delivery: Delivery) -> dict[str, Any]:
    """Return a delivery as the API shows it: without its body."""
    return {name: value for name, value in asdict(delivery).items() if name != "payload"}


@router.get("/v1/deliveries", responses={200: {"model": DeliveryList}, **problems(401, 422, 503)})
async def list_deliveries(
    parts: PartsIn,
    state: Annotated[Literal["waiting", "delivered", "dead"] | None, Query()] = None,
    before: Annotated[int | None, Query(ge=1, le=2**53, description="Older than this number.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> AsciiJson:
    """List deliveries, the newest first, and the endpoints."""

    def read(c: Connection) -> tuple[Sequence[Delivery], dict[str, int]]:
        return outbox.page(c, state=state, before=before, limit=limit + 1), outbox.counts(c)

    found, counts = await ask_database(parts, read)
    shown = found[:limit]
    endpoints = () if parts.outgoing is None else parts.outgoing.endpoints()
    more = len(found) > limit
    return AsciiJson(
        {
            "deliveries": [delivery_data(one) for one in shown],
            "endpoints": plain(endpoints),
            "counts": {name: counts.get(name, 0) for name in ("waiting", "delivered", "dead")},
            "next": shown[-1].n if more else None,
        }
    )


@router.post(
    "/v1/deliveries/{n}/retry",
    status_code=202,
    responses={202: {"model": DeliveryModel}, **problems(401, 403, 404, 409, 422, 503)},
)
async def retry_delivery(
    n: Annotated[int, Path(ge=1, le=2**53)], request: Request, parts: PartsIn
) -> AsciiJson:
    """Try a dead delivery again from the start, with the same id.

    A disabled endpoint that takes it is on again.
    """
    endpoints = () if parts.outgoing is None else parts.outgoing.endpoints()
    known = {one["name"] for one in endpoints}

    def again(c: Connection) -> Delivery:
        found = outbox.get(c, n)
        if found.state != "dead":
            raise Problem(409, "not_dead", f"Delivery {n} is {found.state}; only dead ones are tried again.")
        if found.endpoint not in known:
            raise Problem(
                409,
                "unknown_endpoint",
                f"There is no endpoint {found.endpoint!r} in the settings any more (webhooks).",
            )
        return outbox.retry(c, n, at=time.time())

    try:
        delivery = await ask_database(parts, again)
    except KeyError:
        raise Problem(404, "unknown_delivery", f"There is no delivery {n}.") from None
    audit(request, "delivery.retry", delivery.id, endpoint=delivery.endpoint, n=n)
    if parts.outgoing is not None:
        parts.outgoing.wake(delivery.endpoint)
    return AsciiJson(delivery_data(delivery), 202)
