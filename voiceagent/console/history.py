"""``/v1/history``: ended calls, found by words and filters; what was said, the recording, the journal."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from voiceagent.console.files import FileAnswer, disposition, open_below
from voiceagent.console.history_audio import Plays, open_audio, recording_data, recordings_at, recordings_of
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
from voiceagent.records.states import RecordingRecord
from voiceagent.store import history, recordings
from voiceagent.store.history import Found, LineRecord, ResponseRecord

if TYPE_CHECKING:
    from sqlalchemy import Connection

router = APIRouter(tags=["history"])


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

    def work(
        c: Connection,
    ) -> tuple[Found | None, list[LineRecord], list[ResponseRecord], list[RecordingRecord]]:
        found = history.one(c, call_id)
        said, asked = list(history.lines_of(c, call_id)), list(history.responses_of(c, call_id))
        return found, said, asked, list(recordings.of_call(c, call_id))

    found, said, asked, audio = await ask_database(parts, work)
    if found is None:
        raise await _not_kept(parts, call_id)
    return AsciiJson(
        {
            **kept_data(found),
            "recordings": recordings_of(found),
            "recordings_at": recordings_at(found),
            "recording_files": [recording_data(one) for one in audio],
            "transcript": [line_data(_line(line)) for line in said],
            "responses": [response_data(_response(call_id, one)) for one in asked],
        }
    )


@router.get(
    "/v1/history/{call_id}/recording",
    response_class=Response,
    responses={
        200: {"content": {"audio/wav": {}, "audio/ogg": {}}, "description": "The file"},
        206: {
            "content": {"audio/wav": {}, "audio/ogg": {}},
            "description": "The piece that `Range` asks for",
        },
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
    """Play or download a recording: stereo, caller left; WAV, or Ogg Opus. Takes one `Range`, for seeking."""
    names = recordings_of(await kept_call(parts, call_id))
    name = file or next(iter(names), "")
    if name not in names:
        raise Problem(404, "no_recording", f"Call {call_id!r} has no such recording.", field="file")
    known = await ask_database(parts, lambda c: recordings.get(c, name))
    audio = await open_audio(parts.config.recordings_dir, name, known, parts.store)
    answer = FileAnswer(
        audio.bytes,
        media_type=audio.media_type,
        shown=disposition("inline", audio.name),
        asked=request.headers,
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
    name = (await kept_call(parts, call_id)).call.journal
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


async def kept_call(parts: Parts, call_id: str) -> Found:
    """Return an ended call. Raises the 404."""
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
