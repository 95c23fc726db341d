"""``/v1/history/export``: every call that fits, page after page: memory holds one page, whatever is asked."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import AsyncIterator, Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from voiceagent.console.files import disposition
from voiceagent.console.history import kept_data
from voiceagent.console.models import problems
from voiceagent.console.models_history import ExportFilters
from voiceagent.console.parts import Parts, PartsIn, ask_database, audit
from voiceagent.console.problems import refused
from voiceagent.errors import RequestRefused
from voiceagent.store import history
from voiceagent.store.history import Found, Page

router = APIRouter(tags=["history"])

PAGE = 500
COLUMNS = (
    "id",
    "started_at",
    "answered_at",
    "ended_at",
    "duration_s",
    "direction",
    "kind",
    "caller",
    "called",
    "flow",
    "trunk",
    "provider",
    "node",
    "outcome",
    "reason",
    "fault",
    "barge_ins",
    "first_words_ms",
    "tags",
    "recording",
    "journal",
)
"""Of the table; times are Unix seconds, several tags are separated by ``; ``."""


_SIGNS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What begins a formula; some spreadsheets take full-width signs as well."""
_WITHIN = re.compile(rf"([;\t\r\n]\s*)(?=[{re.escape(''.join(_SIGNS))}])")
"""A formula after what separates cells elsewhere: `;` in much of Europe, which no quotes protect there."""


@router.get(
    "/v1/history/export",
    response_class=Response,
    responses={
        200: {"content": {"text/csv": {}, "application/json": {}}, "description": "The file"},
        **problems(401, 403, 422, 503),
    },
)
async def export(
    filters: Annotated[ExportFilters, Query()], request: Request, parts: PartsIn
) -> StreamingResponse:
    """Download every call that fits.

    CSV text that a spreadsheet would take for a formula (it begins with `=`, `+`, `-` or `@`) has an
    apostrophe in front. Should the database go away meanwhile, the download breaks off.
    """
    first = await _page(parts, filters, "")  # a refusal is told before the answer begins
    chosen = {name: value for name, value in filters.model_dump().items() if value not in (None, "")}
    audit(request, "history.export", **chosen)
    write, kind = (_json, "application/json") if filters.format == "json" else (_csv, "text/csv")
    headers = {"Content-Disposition": disposition("attachment", f"calls.{filters.format}")}
    return StreamingResponse(write(_pages(parts, filters, first)), 200, headers, kind)


async def _page(parts: Parts, filters: ExportFilters, after: str) -> Page:
    query = filters.query(limit=PAGE, after=after)
    try:
        return await ask_database(parts, lambda c: history.find(c, query))
    except RequestRefused as error:
        raise refused(error) from None


async def _pages(parts: Parts, filters: ExportFilters, page: Page) -> AsyncIterator[Sequence[Found]]:
    while True:
        yield page.calls
        if not page.next:
            return
        page = await _page(parts, filters, page.next)


async def _csv(pages: AsyncIterator[Sequence[Found]]) -> AsyncIterator[bytes]:
    yield _rows([COLUMNS])
    async for page in pages:
        if page:
            yield _rows([_cells(found) for found in page])


def _cells(found: Found) -> list[object]:
    tags = "; ".join(found.tags)
    values = [tags if name == "tags" else getattr(found.call, name) for name in COLUMNS]
    return [defused(value) if isinstance(value, str) else value for value in values]


def defused(cell: str) -> str:
    """PURE. Return a text that no spreadsheet takes for a formula (OWASP, CSV injection)."""
    clean = cell.encode("utf-8", "replace").decode()
    safe = _WITHIN.sub(r"\1'", clean)
    return f"'{safe}" if clean.lstrip().startswith(_SIGNS) else safe


def _rows(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


async def _json(pages: AsyncIterator[Sequence[Found]]) -> AsyncIterator[bytes]:
    yield b'{"calls":[\n'
    separator = ""
    async for page in pages:
        lines = [json.dumps(kept_data(found), allow_nan=False) for found in page]
        if lines:
            yield (separator + ",\n".join(lines)).encode()
            separator = ",\n"
    yield b"\n]}\n"
