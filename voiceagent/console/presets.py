"""``/v1/presets``: triggers that operators keep at hand. Everybody sees them, supervisors change them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, TypeVar

from fastapi import APIRouter, Request
from starlette.responses import Response

from voiceagent.console.models import problems
from voiceagent.console.models_presets import PresetBody, PresetList, PresetModel
from voiceagent.console.parts import AsciiJson, Parts, PartsIn, VisitorIn, ask_database, audit
from voiceagent.console.problems import Problem, refused
from voiceagent.console.responses import check_pairs, check_text
from voiceagent.errors import RequestRefused
from voiceagent.realtime.requests import RESERVED_KEYS, check_metadata
from voiceagent.store import presets as store
from voiceagent.store.presets import Preset

if TYPE_CHECKING:
    from sqlalchemy import Connection

router = APIRouter(tags=["presets"])
Result = TypeVar("Result")
_CONFLICTS = {"name_taken": 409, "too_many": 409}


@router.get("/v1/presets", responses={200: {"model": PresetList}, **problems(401, 503)})
async def list_presets(parts: PartsIn) -> AsciiJson:
    """List the presets by name."""
    found = await ask_database(parts, store.list_presets)
    return AsciiJson({"presets": [asdict(preset) for preset in found]})


@router.post(
    "/v1/presets",
    status_code=201,
    responses={201: {"model": PresetModel}, **problems(401, 403, 409, 422, 503)},
)
async def add_preset(body: PresetBody, request: Request, parts: PartsIn, visitor: VisitorIn) -> AsciiJson:
    """Make a preset."""
    by = "" if visitor.principal is None else visitor.principal.name
    preset = _preset(body)
    made = await _do(parts, lambda c: store.save_preset(c, preset, by=by), "")
    audit(request, "preset.add", made.id, name=made.name)
    return AsciiJson(asdict(made), 201)


@router.put(
    "/v1/presets/{preset_id}",
    responses={200: {"model": PresetModel}, **problems(401, 403, 404, 409, 422, 503)},
)
async def change_preset(
    preset_id: str, body: PresetBody, request: Request, parts: PartsIn, visitor: VisitorIn
) -> AsciiJson:
    """Put another preset in this one's place."""
    by = "" if visitor.principal is None else visitor.principal.name
    preset = _preset(body, preset_id)
    made = await _do(parts, lambda c: store.save_preset(c, preset, by=by), preset_id)
    audit(request, "preset.change", made.id, name=made.name)
    return AsciiJson(asdict(made))


@router.delete("/v1/presets/{preset_id}", status_code=204, responses=problems(401, 403, 404, 503))
async def remove_preset(preset_id: str, request: Request, parts: PartsIn) -> Response:
    """Remove a preset."""
    await _do(parts, lambda c: store.remove_preset(c, preset_id), preset_id)
    audit(request, "preset.remove", preset_id)
    return Response(status_code=204)


def _preset(body: PresetBody, preset_id: str = "") -> Preset:
    """Return what the body says; a preset that no call would take is refused now."""
    try:
        check_text("name", body.name)
        check_text("instructions", body.instructions)
        check_metadata(body.metadata, reserve=RESERVED_KEYS)
        check_pairs(body.metadata)
    except RequestRefused as error:
        raise refused(error) from None
    return Preset(body.name, body.instructions, body.metadata, body.when, body.note_only, preset_id)


async def _do(parts: Parts, work: Callable[[Connection], Result], preset_id: str) -> Result:
    try:
        return await ask_database(parts, work)
    except KeyError:
        raise Problem(404, "unknown_preset", f"There is no preset {preset_id!r}.") from None
    except RequestRefused as error:
        raise refused(error, _CONFLICTS) from None
