"""The page: readable files beside this module, held in memory as they are and packed, served with an ETag."""

from __future__ import annotations

import gzip
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
    """One file of the page. Its packed form is another representation with its own ETag (RFC 9110 §8.8.3)."""

    content: bytes
    packed: bytes
    media_type: str
    digest: str

    def etag(self, packed: bool) -> str:
        """Return the ETag of the form that is sent."""
        return f'"{self.digest}{"-gzip" if packed else ""}"'


def load_page() -> dict[str, StaticFile]:
    """Read every file of the page, by name."""
    found: dict[str, StaticFile] = {}
    for entry in files("voiceagent.console").joinpath("static").iterdir():
        suffix = "." + entry.name.rpartition(".")[2]
        if suffix in TYPES and entry.is_file():
            content = entry.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:24]
            packed = gzip.compress(content, mtime=0)
            found[entry.name] = StaticFile(content, packed, TYPES[suffix], digest)
    return found


def takes_gzip(accept_encoding: str) -> bool:
    """Whether ``Accept-Encoding`` (RFC 9110 §12.5.3) allows gzip. ``*`` alone does not ask for it."""
    for item in accept_encoding.lower().split(","):
        name, _, parameter = item.partition(";")
        if name.strip() == "gzip":
            weight = parameter.replace(" ", "").removeprefix("q=")
            return not weight or weight.strip("0.") != ""
    return False


def page_router() -> APIRouter:
    """Return the routes of the page. Names are looked up whole, so no path can climb out."""
    router = APIRouter(include_in_schema=False)
    pages = load_page()

    def serve(request: Request, name: str) -> Response:
        found = pages.get(name)
        if found is None:
            raise Problem(404, "not_found", f"The page has no file {name!r}.")
        packed = takes_gzip(request.headers.get("accept-encoding", ""))
        etag = found.etag(packed)
        headers = {"ETag": etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if packed:
            headers["Content-Encoding"] = "gzip"
        return Response(
            found.packed if packed else found.content, media_type=found.media_type, headers=headers
        )

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
