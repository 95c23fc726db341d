"""Files of ours as answers: only from below one folder, in pieces, read beside the event loop."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar
from urllib.parse import quote

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from voiceagent.console.problems import Problem
from voiceagent.console.ranges import NotSatisfiable, piece_of

CHUNK = 1 << 16
_threads = ThreadPoolExecutor(8, thread_name_prefix="voiceagent-files")
"""Of their own: a store that does not answer must not take those that names of providers are looked up on."""
Given = ParamSpec("Given")
Answer = TypeVar("Answer")


async def beside(work: Callable[Given, Answer], *args: Given.args, **kwargs: Given.kwargs) -> Answer:
    """Do what may wait for a disk or a store; the event loop, and calls, go on."""
    return await asyncio.get_running_loop().run_in_executor(_threads, partial(work, *args, **kwargs))


class Readable(Protocol):
    """Bytes that can be read piece by piece, from a thread."""

    @property
    def size(self) -> int: ...

    @property
    def tag(self) -> str:
        """Entity tag: another one when the bytes are others."""
        ...

    @property
    def piece(self) -> int:
        """How many bytes are best read at once."""
        ...

    def read(self, start: int, end: int) -> bytes:
        """Return bytes from ``start`` on, at most to ``end`` (exclusive); none where there are no more."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that is open for reading; ``fd`` belongs to whoever has this."""

    fd: int
    size: int
    tag: str
    piece: int = CHUNK

    def read(self, start: int, end: int) -> bytes:
        return os.pread(self.fd, end - start, start)

    def close(self) -> None:
        os.close(self.fd)


def open_below(folder: str, name: str) -> Opened:
    """Open ``folder/name``. Raises FileNotFoundError for whatever is not a plain file below ``folder``.

    Names with ``..`` and links that lead out are not followed, whoever wrote them into the database.
    """
    if not folder or not name or "\0" in name:
        raise FileNotFoundError(name)
    base = Path(folder).resolve()
    path = (base / name).resolve()
    if not path.is_relative_to(base):
        raise FileNotFoundError(name)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        raise FileNotFoundError(name) from None
    about = os.fstat(fd)
    if not stat.S_ISREG(about.st_mode):
        os.close(fd)
        raise FileNotFoundError(name)
    return Opened(fd, about.st_size, f'"{about.st_mtime_ns:x}-{about.st_size:x}"')


def disposition(kind: str, name: str) -> str:
    """Return a Content-Disposition (RFC 6266) for a name of any characters."""
    plain = "".join(char if char.isascii() and (char.isalnum() or char in "._-") else "_" for char in name)
    words = f'{kind}; filename="{plain}"'
    return words if plain == name else f"{words}; filename*=UTF-8''{quote(name, safe='')}"


class FileAnswer(StreamingResponse):
    """A file, or the one piece of it that was asked for. Closes the file, however the answer ends."""

    def __init__(
        self, opened: Readable, *, media_type: str, shown: str, asked: Mapping[str, str], ranged: bool = True
    ) -> None:
        """``shown`` is the Content-Disposition; ``asked`` has the request's headers."""
        self._opened = opened
        headers = {"Content-Disposition": shown, "ETag": opened.tag}
        wanted = asked.get("range") if ranged else None
        if asked.get("if-range", opened.tag) != opened.tag:
            wanted = None  # it has another state of the file: send the whole
        try:
            piece = piece_of(wanted, opened.size)
        except NotSatisfiable:
            opened.close()
            raise Problem(
                416,
                "range_not_satisfiable",
                f"The file has {opened.size} bytes.",
                field="Range",
                headers={"Content-Range": f"bytes */{opened.size}"},
            ) from None
        if ranged:
            headers["Accept-Ranges"] = "bytes"
        start, end = (0, opened.size) if piece is None else (piece.start, piece.end)
        if piece is not None:
            headers["Content-Range"] = piece.told
        headers["Content-Length"] = str(end - start)
        status = 200 if piece is None else 206
        super().__init__(self._read(start, end), status, headers, media_type)

    async def _read(self, start: int, end: int) -> AsyncIterator[bytes]:
        while start < end:
            data = await beside(self._opened.read, start, min(start + self._opened.piece, end))
            if not data:
                raise OSError("the file became shorter while it was sent")
            start += len(data)
            yield data

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._opened.close()


__all__ = ["FileAnswer", "Opened", "Readable", "beside", "disposition", "open_below"]
