"""``/v1/history``: ended calls, found by words and filters; what was said, the recording, the journal."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, cast

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from voiceagent.console.files import FileAnswer, disposition, open_below
from voiceagent.console.models import problems
from voiceagent.console.models_history import HistoryPage, KeptCallDetail, PageFilters
from voiceagent.console.parts import (
    AsciiJson,
    Parts,
    PartsIn,
    VisitorIn,
    ask_database,
    audit,
    loop_time,
)
from voiceagent.console.ports import ResponseView, TranscriptLine
from voiceagent.console.problems import FLEET_ERRORS, Problem, refused
from voiceagent.console.views import Json, line_data, plain, response_data
from voiceagent.errors import RequestRefused
from voiceagent.store import history
from voiceagent.store.history import Found, LineRecord, ResponseRecord

if TYPE_CHECKING:
    from sqlalchemy import Connection

router = APIRouter(tags=["history"])

PLAY_S = 600.0
"""A player asks for one recording piece by piece: so long it is one listening, and one line of the log."""


class Plays:
    """PURE. Who plays which recording at the moment, the longest ago forgotten first."""

    def __init__(self, most: int = 1024) -> None:
        self._most = most
        self._since: OrderedDict[tuple[str, str], float] = OrderedDict()

    def begins(self, who: str, file: str, now: float) -> bool:
        """Return whether this is a new listening."""
        since = self._since.get((who, file))
        if since is not None and now - since < PLAY_S:
            return False
        self._since[who, file] = now
        self._since.move_to_end((who, file))
        if len(self._since) > self._most:
            self._since.popitem(last=False)
        return True


@router.get("/v1/history", responses={200: {"model": HistoryPage}, **problems(401, 422, 503)})
async def search(filters: Annotated[PageFilters, Query()], parts: PartsIn) -> AsciiJson:
    """Search the ended calls, page after page. Live ones stand in `/v1/calls`."""
    query = filters.query(limit=filters.limit, after=filters.after)
    try:
        page = await ask_database(parts, lambda c: history.find(c, query))
    except RequestRefused as error:
        raise refused(error) from None
    return AsciiJson({"calls": [kept_data(found) for found in page.calls], "next": page.next})


@router.get("/v1/history/{call_id}", responses={200: {"model": KeptCallDetail}, **problems(401, 404, 503)})
async def show(call_id: str, parts: PartsIn) -> AsciiJson:
    """Show an ended call with its transcript and its responses."""

    def work(c: Connection) -> tuple[Found | None, list[LineRecord], list[ResponseRecord]]:
        found = history.one(c, call_id)
        return found, list(history.lines_of(c, call_id)), list(history.responses_of(c, call_id))

    found, said, asked = await ask_database(parts, work)
    if found is None:
        raise await _not_kept(parts, call_id)
    return AsciiJson(
        {
            **kept_data(found),
            "recordings": recordings_of(found),
            "recordings_at": recordings_at(found),
            "transcript": [line_data(_line(line)) for line in said],
            "responses": [response_data(_response(call_id, one)) for one in asked],
        }
    )


@router.get(
    "/v1/history/{call_id}/recording",
    response_class=Response,
    responses={
        200: {"content": {"audio/wav": {}}, "description": "The file"},
        206: {"content": {"audio/wav": {}}, "description": "The piece that `Range` asks for"},
        **problems(401, 403, 404, 416, 503),
    },
)
async def recording(
    call_id: str,
    request: Request,
    parts: PartsIn,
    visitor: VisitorIn,
    file: Annotated[
        str | None, Query(max_length=256, description="One of the call's `recordings`; default: the first.")
    ] = None,
) -> Response:
    """Play or download a recording: stereo WAV, caller left. Takes one `Range`, so that a player can seek."""
    names = recordings_of(await _kept(parts, call_id))
    name = file or next(iter(names), "")
    if name not in names:
        raise Problem(404, "no_recording", f"Call {call_id!r} has no such recording.", field="file")
    try:
        opened = open_below(parts.config.recordings_dir, name)
    except FileNotFoundError:
        raise Problem(404, "no_recording", f"The recording {name!r} is not kept any more.") from None
    answer = FileAnswer(
        opened, media_type="audio/wav", shown=disposition("inline", name), asked=request.headers
    )
    plays: Plays = request.app.state.plays
    if plays.begins(visitor.key, name, loop_time()):
        audit(request, "call.play_recording", call_id, file=name)
    return answer


@router.get(
    "/v1/history/{call_id}/journal",
    response_class=Response,
    responses={200: {"content": {"application/x-ndjson": {}}}, **problems(401, 403, 404, 503)},
)
async def journal(call_id: str, request: Request, parts: PartsIn) -> Response:
    """Download the journal: every decision of the call in order, one JSON object a line."""
    name = (await _kept(parts, call_id)).call.journal
    try:
        opened = open_below(parts.config.journal_dir, name)
    except FileNotFoundError:
        raise Problem(404, "no_journal", f"The journal of call {call_id!r} is not kept any more.") from None
    shown = disposition("attachment", f"{call_id}.ndjson")
    answer = FileAnswer(
        opened, media_type="application/x-ndjson", shown=shown, asked=request.headers, ranged=False
    )
    audit(request, "call.read_journal", call_id)
    return answer


def kept_data(found: Found) -> Json:
    """Return an ended call as the API shows it."""
    call = found.call
    self = f"/v1/history/{call.id}"
    links = {"self": self}
    if call.recording:
        links["recording"] = f"{self}/recording"
    if call.journal:
        links["journal"] = f"{self}/journal"
    return {**plain(asdict(call)), "tags": plain(list(found.tags)), "links": links}


def recordings_of(found: Found) -> list[str]:
    """Return the names of all recordings of a call, the first one first."""
    more: Any = found.call.figures.get("recordings", ())
    names = [found.call.recording, *(cast("list[Any]", more) if isinstance(more, list) else [])]
    return list(dict.fromkeys(str(name) for name in names if name))


def recordings_at(found: Found) -> list[float]:
    """Return when each recording begins, in seconds since the call began; 0 where nobody noted it."""
    noted: Any = found.call.figures.get("recordings_at", ())
    times = cast("list[Any]", noted) if isinstance(noted, list) else []
    known = [float(at) if isinstance(at, int | float) else 0.0 for at in times]
    wanted = len(recordings_of(found))
    return [*known[:wanted], *[0.0] * (wanted - len(known))]


async def _kept(parts: Parts, call_id: str) -> Found:
    found = await ask_database(parts, lambda c: history.one(c, call_id))
    if found is None:
        raise await _not_kept(parts, call_id)
    return found


async def _not_kept(parts: Parts, call_id: str) -> Problem:
    """Return the 404; for a call that is known here, it says where it is to be found."""
    try:
        state = (await parts.directory.call(call_id)).state
    except (KeyError, *FLEET_ERRORS):
        words = f"The history has no call {call_id!r}."
        return Problem(404, "unknown_call", words, remedy="Search with GET /v1/history.")
    words = "has just ended and is being written" if state == "ended" else f"is live ({state})"
    remedy = f"Ask GET /v1/calls/{plain(call_id)} for it."
    return Problem(404, "not_in_history", f"Call {call_id!r} {words}.", remedy=remedy)


def _line(line: LineRecord) -> TranscriptLine:
    return TranscriptLine(line.at, line.speaker, line.text, line.full_text, cut=line.cut)


def _response(call_id: str, one: ResponseRecord) -> ResponseView:
    return ResponseView(
        id=one.id,
        call_id=call_id,
        origin=one.origin,
        instructions=one.instructions,
        metadata=one.metadata,
        state=one.state,
        reason=one.reason,
        submitted_at=one.submitted_at,
        outcome=one.outcome,
    )
