"""``POST /v1/phone``: the page calls the agent.

One request, one answer: the page's WebRTC offer for ours. All else goes over that connection.
"""

from __future__ import annotations

from fastapi import APIRouter, Request

from voiceagent.console.models import problems
from voiceagent.console.models_phone import PhoneBody, PhoneCall
from voiceagent.console.parts import AsciiJson, PartsIn, VisitorIn, audit, limit, peer_of
from voiceagent.console.ports import PhoneWish
from voiceagent.console.problems import Problem, refused
from voiceagent.errors import MediaError, RequestRefused

router = APIRouter(tags=["phone"])

STATUSES = {
    "unknown_flow": 404,
    "no_flow": 404,
    "phone_limit": 429,
    "draining": 503,
    "capacity": 503,
    "overload": 503,
    "not_listening": 503,
}
"""Statuses of refusals by code; any other is 422."""


@router.post(
    "/v1/phone",
    status_code=201,
    responses={201: {"model": PhoneCall}, **problems(401, 403, 404, 422, 429, 501, 503)},
)
async def call(body: PhoneBody, request: Request, parts: PartsIn, visitor: VisitorIn) -> AsciiJson:
    """Call the agent from a browser: an offer in, the answer out.

    JSON objects go over the data channel `events`. To us: `{"type":"digit","digit":"5"}` and
    `{"type":"hangup"}`. From us: `caption` (a line of the transcript; one with the `item_id` of an earlier
    one replaces it), `call` (state, floor, step, held_by), `ended` (reason).
    """
    limit(parts.triggers, visitor.key, "requests")
    name = visitor.name if visitor.principal is None else visitor.principal.name
    wish = PhoneWish(body.sdp, body.flow or "", body.to or "", visitor.key, name, peer_of(request))
    try:
        if parts.phones is None:
            raise RequestRefused("phone", "no calls from the page are taken here", code="not_listening")
        answer = await parts.phones.call(wish)
    except RequestRefused as error:
        raise refused(error, STATUSES) from None
    except MediaError as error:
        raise Problem(501 if error.code == "webrtc_missing" else 503, error.code, f"{error}.") from None
    audit(request, "call.phone", answer.call_id, **({"to": wish.to} if wish.to else {}))
    links = {"call": f"/v1/calls/{answer.call_id}", "hangup": f"/v1/calls/{answer.call_id}/actions/hangup"}
    return AsciiJson(
        {"call_id": answer.call_id, "sdp": answer.sdp, "links": links}, 201, {"Location": links["call"]}
    )
