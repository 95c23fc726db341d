"""``/v1/calls/{call}/actions/…``: hold a call, hand it over, press keys, tell its agent, record it or not."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Request

from voiceagent.console.models import CallDetail, DigitsBody, TransferBody, problems
from voiceagent.console.models_notes import NoteBody
from voiceagent.console.parts import FORBIDDEN, AsciiJson, Parts, PartsIn, audit, ended, limit, visitor_of
from voiceagent.console.ports import Act
from voiceagent.console.problems import refused, unknown_call
from voiceagent.console.responses import KeyMemory, check_text, checked_key
from voiceagent.console.views import call_detail
from voiceagent.errors import CallEnded, RequestRefused

router = APIRouter(tags=["calls"])

STATUSES = {
    "denied_target": 403,
    "target_not_allowed": 403,
    "not_answered": 409,
    "handing_over": 409,
    "not_supported": 409,
    "not_recording": 409,
    "failed": 409,
    "listen_first": 409,
    "taken_over": 409,
    "secret": 409,
    "in_queue": 409,
}
"""Statuses of refusals by code; any other is 422."""
_ANSWERS = {200: {"model": CallDetail}, **problems(401, 403, 404, 409, 422, 429, 503, 504)}
KeyIn = Annotated[str | None, Header(description="Repeat it to retry safely: done once.")]


@router.post("/v1/calls/{call_id}/actions/hold", responses=_ANSWERS)
async def hold(call_id: str, request: Request, parts: PartsIn, idempotency_key: KeyIn = None) -> AsciiJson:
    """Put the caller on hold, with music; the model is neither heard nor asked. One on hold stays so."""
    return await _act(call_id, Act("hold"), request, parts, idempotency_key)


@router.post("/v1/calls/{call_id}/actions/resume", responses=_ANSWERS)
async def resume(call_id: str, request: Request, parts: PartsIn, idempotency_key: KeyIn = None) -> AsciiJson:
    """Take the caller back. One who is not on hold is left alone."""
    return await _act(call_id, Act("resume"), request, parts, idempotency_key)


@router.post(
    "/v1/calls/{call_id}/actions/transfer",
    status_code=202,
    responses={202: {"model": CallDetail}, **problems(401, 403, 404, 409, 422, 429, 503, 504)},
)
async def transfer(
    call_id: str, body: TransferBody, request: Request, parts: PartsIn, idempotency_key: KeyIn = None
) -> AsciiJson:
    """Begin to hand the caller to somebody. The call's `transfer` tells how it goes, live as well."""
    act = Act("transfer", target=body.target, attended=body.attended)
    return await _act(call_id, act, request, parts, idempotency_key, 202)


@router.post("/v1/calls/{call_id}/actions/send_digits", responses=_ANSWERS)
async def send_digits(
    call_id: str, body: DigitsBody, request: Request, parts: PartsIn, idempotency_key: KeyIn = None
) -> AsciiJson:
    """Press keys in the call; answers when they are sent."""
    return await _act(call_id, Act("send_digits", digits=body.digits), request, parts, idempotency_key)


@router.post("/v1/calls/{call_id}/actions/take_over", responses=_ANSWERS)
async def take_over(
    call_id: str, request: Request, parts: PartsIn, idempotency_key: KeyIn = None
) -> AsciiJson:
    """Speak with the caller in the agent's place: up the socket on which you listen to this call.

    The agent falls silent, what it was asked for waits, and what you say becomes part of the conversation.
    """
    return await _act(call_id, Act("take_over"), request, parts, idempotency_key)


@router.post("/v1/calls/{call_id}/actions/hand_back", responses=_ANSWERS)
async def hand_back(
    call_id: str, request: Request, parts: PartsIn, idempotency_key: KeyIn = None
) -> AsciiJson:
    """Let the agent speak again. A call that nobody has taken over is left alone."""
    return await _act(call_id, Act("hand_back"), request, parts, idempotency_key)


@router.post("/v1/calls/{call_id}/actions/note", responses=_ANSWERS)
async def note(
    call_id: str, body: NoteBody, request: Request, parts: PartsIn, idempotency_key: KeyIn = None
) -> AsciiJson:
    """Tell the agent something that nobody hears: it joins the conversation, and stands in the transcript."""
    try:
        check_text("text", body.text)
    except RequestRefused as error:
        raise refused(error) from None
    return await _act(call_id, Act("note", text=body.text), request, parts, idempotency_key)


@router.post("/v1/calls/{call_id}/actions/pause_recording", responses=_ANSWERS)
async def pause_recording(
    call_id: str, request: Request, parts: PartsIn, idempotency_key: KeyIn = None
) -> AsciiJson:
    """Keep what is heard out of the recording: silence stands in its place, until it is resumed."""
    return await _act(call_id, Act("pause_recording"), request, parts, idempotency_key)


@router.post("/v1/calls/{call_id}/actions/resume_recording", responses=_ANSWERS)
async def resume_recording(
    call_id: str, request: Request, parts: PartsIn, idempotency_key: KeyIn = None
) -> AsciiJson:
    """Take an operator's pause back. While the flow or hold pauses the recording, it stays paused."""
    return await _act(call_id, Act("resume_recording"), request, parts, idempotency_key)


async def _act(
    call_id: str, act: Act, request: Request, parts: Parts, key: str | None, status: int = 200
) -> AsciiJson:
    visitor = visitor_of(request)
    limit(parts.triggers, visitor.key, "actions")
    checked_key(key)
    memory: KeyMemory = request.app.state.keys
    place, printed = f"{call_id} {act.what}", repr(act)
    memory.check(place, key, printed)
    try:
        view = await parts.directory.act(call_id, act, idempotency_key=key, operator=visitor.name)
    except RequestRefused as error:
        if error.code in FORBIDDEN:
            audit(request, f"call.{act.what}", call_id, result=error.code, to=act.target)
        problem = refused(error, STATUSES)
        if error.code == "target_not_allowed":
            problem.remedy = "Add it to call.transfer_targets; it is empty by default."
        elif error.code == "denied_target":
            problem.remedy = "Satellite, premium and emergency numbers are denied by a built-in list."
        raise problem from None
    except CallEnded as error:
        raise await ended(parts.directory, call_id, error) from None
    except KeyError:
        raise unknown_call(call_id) from None
    memory.note(place, key, printed)
    told = {"to": act.target, "text": act.text}
    audit(request, f"call.{act.what}", view.id, **{name: words for name, words in told.items() if words})
    return AsciiJson(call_detail(view), status)
