"""Refusals as ``application/problem+json`` (RFC 9457): what is wrong, where, and what to do about it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Send

from voiceagent.cluster.ports import AnswerLost, ClusterDown, CommandLate, NodeGone
from voiceagent.console.rights import LEAST_ROLE, Right, Role
from voiceagent.console.views import plain
from voiceagent.errors import CallEnded, RequestRefused, VoiceAgentError

TITLES = {
    "call_ended": "The call has ended",
    "unknown_call": "No such call",
    "unknown_response": "No such response",
    "bad_target": "The target cannot be read",
    "denied_target": "This target is denied",
    "target_not_allowed": "This target is not allowed",
    "no_trunk": "No trunk for this number",
    "unknown_flow": "No such flow",
    "unknown_trunk": "No such trunk",
    "not_answered": "The call is not answered yet",
    "handing_over": "The call is being handed to somebody else",
    "not_supported": "This call does not support it",
    "failed": "The caller's side did not go along",
    "capacity": "No place for one more call",
    "outbound_capacity": "No place for one more call of ours",
    "drained": "The node is ending",
    "draining": "No new calls are taken",
    "destination_busy": "We are calling this destination already",
    "destination_calls": "This destination was called often enough for now",
    "no_consent": "A consent reference is needed",
    "invalid_request": "The request is not valid",
    "invalid_json": "The body is not JSON",
    "idempotency_mismatch": "This Idempotency-Key was used for another request",
    "flows_refused": "The new flows were not taken; the old ones stay",
    "unauthenticated": "Sign in first",
    "forbidden": "This credential may not do that",
    "foreign_host": "This name is not ours",
    "foreign_origin": "This origin is not ours",
    "csrf": "The request did not come from our page",
    "too_many_requests": "Too many requests",
    "too_many_streams": "Too many live streams",
    "too_many_listeners": "Too many listen already",
    "listen_first": "You do not listen to this call",
    "taken_over": "Somebody speaks in the agent's place",
    "secret": "A secret is being taken",
    "in_queue": "The caller waits in a queue",
    "head_too_large": "The headers are too large",
    "body_too_large": "The body is too large",
    "body_too_slow": "The body came too slowly",
    "method_not_allowed": "This address does not take that method",
    "not_found": "No such address",
    "shutting_down": "The console is closing",
    "webhook_header": "A webhook header is missing or malformed",
    "webhook_timestamp": "The webhook is too old, or from the future",
    "webhook_signature": "The webhook is not from our provider",
    "webhook_body": "The webhook is malformed",
    "not_taking_calls": "No new calls are taken",
    "internal": "Our fault",
    "bad_sdp": "The WebRTC offer cannot be answered",
    "no_flow": "No flow answers this number",
    "phone_limit": "You have as many calls from the page as are allowed",
    "overload": "The node is too busy for one more call",
    "not_listening": "The service is not up yet",
    "webrtc_missing": "The browser phone is not installed here",
    "no_port": "No port can be opened for the audio",
    "database_down": "The database cannot be asked",
    "call_live": "The person is on the line",
    "object_store": "The object store cannot be asked",
    "unknown_user": "No such user",
    "unknown_key": "No such key",
    "name_taken": "This name is taken",
    "last_admin": "One admin has to stay",
    "sign_in_busy": "Too many sign in at once",
    "wrong_password": "This is not the password",
    "no_password": "A key has no password",
    "unknown_preset": "No such preset",
    "not_in_history": "Not in the history yet",
    "no_recording": "No such recording",
    "no_journal": "No such journal",
    "range_not_satisfiable": "The file is shorter than that",
    "queue_full": "Too many requests wait in this call",
    "not_recording": "This call is not being recorded",
    "too_many": "There are enough of them",
    "cluster_down": "The fleet's registry does not answer",
    "node_gone": "The node that has the call does not answer",
    "command_late": "The node that has the call did not take it in time",
    "answer_lost": "It may have been done, or not",
    "not_here": "Not from this node",
    "bad_ticket": "This ticket is not of our fleet, or not good any more",
}

REMEDIES = {
    "call_ended": "Pick a live call from GET /v1/calls.",
    "unknown_call": "List the calls with GET /v1/calls; those that ended long ago stand in GET /v1/history.",
    "unknown_response": "List the responses of the call with GET /v1/calls/{call}/responses.",
    "invalid_json": "Send a JSON object with Content-Type: application/json.",
    "idempotency_mismatch": "Send a new key for a new wish, or repeat the first body unchanged.",
    "unauthenticated": "Send Authorization: Bearer KEY. An admin makes keys; the first start prints a token.",
    "foreign_host": "Add the name to console.allowed_hosts.",
    "foreign_origin": "Add the origin to console.allowed_origins.",
    "csrf": "Send the header X-Voiceagent-CSRF: 1 and an Origin, or use a bearer token.",
    "too_many_requests": "Wait for Retry-After seconds.",
    "too_many_streams": "Close another stream, or raise console.max_streams.",
    "listen_first": "Open WS /v1/calls/{call}/listen first: your microphone goes up that socket.",
    "taken_over": "The call's `taken_over_by` tells who; they hand back with actions/hand_back.",
    "secret": "Try again when the caller has typed it; nobody may hear that.",
    "too_many_listeners": "Wait until one leaves (see `listeners` of calls), or raise console.max_listeners.",
    "webhook_signature": "Set hosted.webhook_secrets to the secret that the provider shows for it.",
    "webhook_timestamp": "Set the clocks; at most 300 s of difference are allowed.",
    "target_not_allowed": "Add it to outbound.allowed; it is empty by default.",
    "denied_target": "Remove it from outbound.denied, or set outbound.deny_built_in, if you must.",
    "unknown_flow": "Name a flow of this node; `voiceagent serve --flow FILE` loads more.",
    "destination_calls": "Wait for Retry-After seconds, or raise outbound.calls_per_destination_hour.",
    "handing_over": "Wait for the end of the transfer; the call's `transfer` tells it.",
    "not_supported": "The call's `abilities` name what it takes.",
    "no_consent": "Send consent_reference, or unset outbound.require_reference.",
    "flows_refused": "Correct what `errors` names and reload again; `voiceagent flow check` finds it, too.",
    "bad_sdp": "Offer one audio section (sendrecv, PCMU or PCMA) and one data channel, as the page does.",
    "phone_limit": "End one of them first, or raise console.phone_calls_per_user.",
    "webrtc_missing": "pip install 'voiceagent[webrtc]', and start the service again.",
    "internal": "The log of this node has the traceback.",
    "database_down": "Calls go on without it; `voiceagent doctor` says what is wrong.",
    "call_live": "End the call, or wait for its end, and send this again.",
    "object_store": "Try again later; the log of this node tells what the store says.",
    "last_admin": "Make another admin first.",
    "queue_full": "Withdraw one of `before`, wait for one to end, or raise call.max_waiting.",
    "cluster_down": "Nothing was done. Ask the node that has the call, or try again; its own calls go on.",
    "node_gone": "Nothing was done. Within seconds its calls are given up as lost, unless it is back.",
    "command_late": "Nothing was done, and will not be. Try again with the same Idempotency-Key.",
    "answer_lost": "Look at the call, or repeat it with the same Idempotency-Key: it is done once.",
    "not_here": "Set one cluster.secret on all nodes and cluster.advertised_console, or listen at that node.",
    "bad_ticket": "Give all nodes the same cluster.secret, and compare their clocks.",
    "not_recording": "Flows begin recordings; the call's `recording` tells its state.",
}


class Problem(Exception):
    """A refusal to be sent. ``code`` is stable and meant for programs; ``field`` names the part at fault."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        field: str | None = None,
        errors: Sequence[Mapping[str, str]] = (),
        remedy: str | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.field = field
        self.errors = list(errors)
        self.remedy = remedy if remedy is not None else REMEDIES.get(code)
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})
        self.by: object = None
        """Who was refused, where it is somebody known: the audit log keeps it."""

    def body(self) -> dict[str, Any]:
        """Return the problem's members; ``field``, ``errors`` and ``remedy`` are there only when known."""
        members: dict[str, Any] = {
            "type": f"urn:voiceagent:problem:{self.code.replace('_', '-')}",
            "title": TITLES.get(self.code, "Refused"),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        if self.field is not None:
            members["field"] = self.field
        if self.errors:
            members["errors"] = [dict(error) for error in self.errors]
        if self.remedy:
            members["remedy"] = self.remedy
        members.update(self.extra)
        return plain(members)

    async def deny(self, send: Send) -> None:
        """Refuse a WebSocket's handshake with this problem (ASGI's Websocket Denial Response)."""
        answer = self.response()
        await send(
            {"type": "websocket.http.response.start", "status": self.status, "headers": answer.raw_headers}
        )
        await send({"type": "websocket.http.response.body", "body": answer.body})

    def response(self) -> Response:
        """Return the answer that carries this problem."""
        content = json.dumps(self.body()).encode()
        return Response(content, self.status, self.headers, media_type="application/problem+json")


def too_low(role: Role, needed: Right) -> Problem:
    """Return the 403 for a role without the right, naming the right and who has it."""
    least = LEAST_ROLE[needed]
    return Problem(
        403,
        "forbidden",
        f"This needs the right {needed.value!r}, which the role {least.value} has; yours is {role.value}.",
        remedy=f"Ask an admin for the role {least.value}, or use such a key.",
        extra={"needs": needed.value, "role": role.value, "least_role": least.value},
    )


def unknown_call(call_id: str) -> Problem:
    """Return the 404 for a call that no node knows."""
    return Problem(404, "unknown_call", f"There is no call {call_id!r}, live or just ended.")


def unknown_response(call_id: str, response_id: str) -> Problem:
    """Return the 404 for a response that this call never had."""
    return Problem(404, "unknown_response", f"Call {call_id!r} has no response {response_id!r}.")


def call_ended(call_id: str, error: CallEnded, outcome: Mapping[str, Any] | None) -> Problem:
    """Return the 409 for an act on a call that is over, with how it ended."""
    return Problem(
        409,
        "call_ended",
        f"Call {call_id!r} is over ({error.outcome}).",
        extra={"outcome": error.outcome, "call_outcome": plain(outcome)},
    )


def refused(error: RequestRefused, statuses: Mapping[str, int] = MappingProxyType({})) -> Problem:
    """Return the problem for a wish that broke a limit; ``field`` names the part.

    ``statuses`` has those codes that are no 422. An error that knows when to come again says so.
    """
    words = str(error).removeprefix(f"{error.field}: ")
    wait: float | None = getattr(error, "retry_after_s", None)
    return Problem(
        statuses.get(error.code, 422),
        error.code,
        f"{error.field}: {words}",
        field=error.field,
        errors=[{"field": error.field, "code": error.code, "detail": words}],
        headers=None if wait is None else {"Retry-After": str(max(1, round(wait)))},
    )


FLEET_ERRORS = (ClusterDown, NodeGone, CommandLate, AnswerLost)
"""What an order to another node may come to."""


def not_reached(error: VoiceAgentError) -> Problem:
    """Return the problem for one of :data:`FLEET_ERRORS`: 503 where nobody took it, 504 where it is over."""
    if isinstance(error, ClusterDown | NodeGone):
        wait = "5" if isinstance(error, ClusterDown) else "2"
        return Problem(503, error.code, f"{error}.", headers={"Retry-After": wait})
    return Problem(504, error.code, f"{error}.")


def _field(location: Sequence[object]) -> str:
    """Name the part at fault the way people write it: ``metadata.turn``; ``body`` for the whole."""
    parts = [str(part) for part in location if part != "[key]"]
    source = parts[0] if parts else "body"
    named = parts[1:] if source in ("body", "query", "path", "header") else parts
    return plain(".".join(named)) if named else source


def _from_validation(error: RequestValidationError) -> Problem:
    errors: list[dict[str, str]] = []
    for found in error.errors():
        kind = str(found.get("type", "invalid"))
        if kind == "json_invalid":
            reason = str(found.get("ctx", {}).get("error", "not JSON"))
            return Problem(400, "invalid_json", f"The body is not JSON: {reason}.", field="body")
        words = str(found.get("msg", "is not valid"))
        if kind == "extra_forbidden":
            words = "is not a known field"
        errors.append({"field": _field(found.get("loc", ())), "code": kind, "detail": words})
    first = errors[0] if errors else {"field": "body", "detail": "is not valid"}
    return Problem(
        422, "invalid_request", f"{first['field']}: {first['detail']}", field=first["field"], errors=errors
    )


def install(app: FastAPI) -> None:
    """Make ``app`` answer every refusal, its own and the framework's, as a problem."""

    async def problem(_request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return error.response()

    async def validation(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return _from_validation(error).response()

    async def http(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = {404: "not_found", 405: "method_not_allowed", 400: "invalid_json"}.get(
            error.status_code, "refused"
        )
        return Problem(error.status_code, code, str(error.detail), headers=error.headers).response()

    async def fleet(_request: Request, error: Exception) -> Response:
        assert isinstance(error, VoiceAgentError)
        return not_reached(error).response()

    app.add_exception_handler(Problem, problem)
    for kind in FLEET_ERRORS:
        app.add_exception_handler(kind, fleet)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(HTTPException, http)
