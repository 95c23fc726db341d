"""``/v1/calls/{call}/responses``: make the model speak, watch the wish, take it back."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Header, Request

from voiceagent.console.models import Accepted, ResponseList, ResponseModel, TriggerBody, problems
from voiceagent.console.parts import AsciiJson, PartsIn, VisitorIn, audit, call_or_404, ended, limit
from voiceagent.console.ports import Directory, Trigger
from voiceagent.console.problems import FLEET_ERRORS, Problem, refused, unknown_call, unknown_response
from voiceagent.console.views import plain, response_data
from voiceagent.errors import CallEnded, RequestRefused
from voiceagent.realtime.requests import RESERVED_KEYS, check_metadata

router = APIRouter(tags=["responses"])

KEY_CHARS = 255
OUR_PREFIX = "va."
"""Metadata keys beginning so are our own correlation keys."""


class KeyMemory:
    """PURE. Which body an idempotency key came with, for the most recent keys.

    The directory answers a repeated key with the first request; a key that comes back with *another* body is
    a mistake of the sender (draft-ietf-httpapi-idempotency-key-header §2.7) and must not look like success.
    """

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._seen: OrderedDict[tuple[str, str], bytes] = OrderedDict()

    def check(self, place: str, key: str | None, body: str) -> None:
        """Raise the 422 for a key that came with another body before. ``place``: what it was used on."""
        known = None if key is None else self._seen.get((place, key))
        if known is not None and known != hashlib.sha256(body.encode("utf-8", "replace")).digest():
            raise Problem(
                422,
                "idempotency_mismatch",
                "Idempotency-Key: came before with another body.",
                field="Idempotency-Key",
            )

    def note(self, place: str, key: str | None, body: str) -> None:
        """Remember an accepted key."""
        if key is None:
            return
        self._seen[place, key] = hashlib.sha256(body.encode("utf-8", "replace")).digest()
        self._seen.move_to_end((place, key))
        if len(self._seen) > self._most:
            self._seen.popitem(last=False)


def checked_key(key: str | None) -> str | None:
    """Return an Idempotency-Key that is one. Raises the 422."""
    if key is not None and not (1 <= len(key) <= KEY_CHARS and key.isascii() and key.isprintable()):
        raise refused(
            RequestRefused("Idempotency-Key", f"must be 1 to {KEY_CHARS} printable ASCII characters")
        )
    return key


def check_pairs(metadata: Mapping[str, str]) -> None:
    """Refuse keys of ours, and what JSON can spell and UTF-8 cannot. Raises RequestRefused."""
    for key, value in metadata.items():
        if plain(key) != key:
            raise RequestRefused("metadata", "a key holds half a character (a lone surrogate)")
        if plain(value) != value:
            raise RequestRefused(f"metadata.{key}", "holds half a character (a lone surrogate)")
        if key.startswith(OUR_PREFIX):
            raise RequestRefused(f"metadata.{key}", f"keys beginning with {OUR_PREFIX} are reserved")


def check_text(field: str, text: str) -> None:
    """Refuse what JSON can spell and UTF-8 cannot. Raises RequestRefused."""
    if plain(text) != text:
        raise RequestRefused(field, "holds half a character (a lone surrogate)")


@router.post(
    "/v1/calls/{call_id}/responses",
    status_code=202,
    responses={202: {"model": Accepted}, **problems(401, 403, 404, 409, 422, 429, 503, 504)},
)
async def trigger(
    call_id: str,
    body: TriggerBody,
    request: Request,
    parts: PartsIn,
    visitor: VisitorIn,
    idempotency_key: Annotated[
        str | None, Header(description="Repeat it to retry safely: spoken once.")
    ] = None,
) -> AsciiJson:
    """Ask the model to speak. The wish enters the call's one queue and ends in exactly one outcome."""
    limit(parts.triggers, visitor.key, "triggers")
    await call_or_404(parts.directory, call_id)
    checked_key(idempotency_key)
    metadata = body.metadata or {}
    printed = repr(body)
    memory: KeyMemory = request.app.state.keys
    try:
        check_metadata(metadata, reserve=RESERVED_KEYS)
        check_pairs(metadata)
        memory.check(call_id, idempotency_key, printed)
        if body.note_only and body.instructions is None:
            raise RequestRefused("instructions", "are the note; they are needed with note_only")
        wish = Trigger(
            body.instructions, metadata, body.when, body.deadline_ms, body.coalesce, body.note_only
        )
        view = await parts.directory.trigger(
            call_id, wish, idempotency_key=idempotency_key, operator=visitor.name
        )
    except RequestRefused as error:
        raise await _refused(parts.directory, call_id, error) from None
    except CallEnded as error:
        raise await ended(parts.directory, call_id, error) from None
    except KeyError:
        raise unknown_call(call_id) from None
    memory.note(call_id, idempotency_key, printed)
    audit(
        request,
        "call.note" if body.note_only else "call.respond",
        view.call_id,
        response=view.id,
        when=body.when,
        instructions=body.instructions,
        metadata=metadata,
    )
    data = response_data(view)
    return AsciiJson({"request_id": view.id, **data}, 202, {"Location": data["links"]["self"]})


async def _refused(directory: Directory, call_id: str, error: RequestRefused) -> Problem:
    """Return the 422; for a full queue the 429 with what stands before the request: what runs, what waits."""
    problem = refused(error)
    if error.code == "queue_full":
        problem.status = 429
        try:
            known = (await directory.call(call_id)).responses
        except (KeyError, *FLEET_ERRORS):
            known = ()
        alive = [one for one in known if one.outcome is None]
        alive.sort(key=lambda one: (one.state == "queued", one.origin != "safety"))
        problem.extra["before"] = [
            {"id": one.id, "origin": one.origin, "state": one.state, "reason": plain(one.reason)}
            for one in alive
        ]
    return problem


@router.get(
    "/v1/calls/{call_id}/responses", responses={200: {"model": ResponseList}, **problems(401, 404, 503, 504)}
)
async def list_responses(call_id: str, parts: PartsIn) -> AsciiJson:
    """List the response requests of a call, oldest first, whoever asked for them."""
    view = await call_or_404(parts.directory, call_id)
    return AsciiJson({"responses": [response_data(response) for response in view.responses]})


@router.get(
    "/v1/calls/{call_id}/responses/{response_id}",
    responses={200: {"model": ResponseModel}, **problems(401, 404, 503, 504)},
)
async def show_response(call_id: str, response_id: str, parts: PartsIn) -> AsciiJson:
    """Show one request: its state, its reason and, once ended, its outcome."""
    await call_or_404(parts.directory, call_id)
    try:
        return AsciiJson(response_data(await parts.directory.response(call_id, response_id)))
    except KeyError:
        raise unknown_response(call_id, response_id) from None


@router.delete(
    "/v1/calls/{call_id}/responses/{response_id}",
    responses={200: {"model": ResponseModel}, **problems(401, 403, 404, 409, 503, 504)},
)
async def withdraw(
    call_id: str, response_id: str, request: Request, parts: PartsIn, visitor: VisitorIn
) -> AsciiJson:
    """Take a wish back: what waits is withdrawn, what is audible is cut. Answers with its state then."""
    await call_or_404(parts.directory, call_id)
    try:
        view = await parts.directory.withdraw(call_id, response_id, operator=visitor.name)
    except KeyError:
        raise unknown_response(call_id, response_id) from None
    except CallEnded as error:
        raise await ended(parts.directory, call_id, error) from None
    audit(request, "call.withdraw", view.call_id, response=view.id)
    return AsciiJson(response_data(view))
