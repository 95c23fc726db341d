"""The page: readable files beside this module, held in memory, served with an ETag."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files

from fastapi import APIRouter, Request
from starlette.responses import Response

from voiceagent.console.problems import Problem

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file of the page."""

    content: bytes
    media_type: str
    etag: str


def load_page() -> dict[str, StaticFile]:
    """Read every file of the page, by name."""
    found: dict[str, StaticFile] = {}
    for entry in files("voiceagent.console").joinpath("static").iterdir():
        suffix = "." + entry.name.rpartition(".")[2]
        if suffix in TYPES and entry.is_file():
            content = entry.read_bytes()
            found[entry.name] = StaticFile(
                content, TYPES[suffix], f'"{hashlib.sha256(content).hexdigest()[:24]}"'
            )
    return found


def page_router() -> APIRouter:
    """Return the routes of the page. Names are looked up whole, so no path can climb out."""
    router = APIRouter(include_in_schema=False)
    pages = load_page()

    def serve(request: Request, name: str) -> Response:
        found = pages.get(name)
        if found is None:
            raise Problem(404, "not_found", f"The page has no file {name!r}.")
        headers = {"ETag": found.etag, "Cache-Control": "no-cache"}
        if found.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(found.content, media_type=found.media_type, headers=headers)

    @router.get("/")
    async def index(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return serve(request, "index.html")

    @router.get("/favicon.ico")
    async def icon(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return serve(request, "icon.svg")

    @router.get("/static/{name}")
    async def static(request: Request, name: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        return serve(request, name)

    return router
