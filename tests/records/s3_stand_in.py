"""As much of S3 as recordings need, on loopback: put, head, get with a range, delete; faults on demand."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Bucket(ThreadingHTTPServer):
    """``objects`` has what was put, by path; the next requests get ``faults`` first (HTTP status each)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.faults: list[int] = []
        self.seen: list[str] = []
        self.odd_tags = False
        """Entity tags are no digests, as with some encryptions."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Bucket

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        headers.setdefault("Content_Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _do(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        name = self.path.partition("?")[0]
        self.server.seen.append(f"{self.command} {name}")
        if self.server.faults:
            self._answer(self.server.faults.pop(0), b"<Error/>")
            return
        kept = self.server.objects.get(name)
        if self.command == "PUT":
            self.server.objects[name] = sent
            self._answer(200, ETag=self._tag(sent))
        elif self.command == "POST":  # several at once, ``?delete``
            keys = re.findall(r"<Key>(.*?)</Key>", sent.decode())
            for key in keys:
                self.server.objects.pop(f"{name}/{key}", None)
            gone = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
            self._answer(200, f"<DeleteResult>{gone}</DeleteResult>".encode())
        elif kept is None:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            told = {"ETag": self._tag(kept), "Last_Modified": "Mon, 30 Nov 2026 12:00:00 GMT"}
            piece = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            if piece:
                first, last = int(piece[1]), int(piece[2])
                told["Content_Range"] = f"bytes {first}-{last}/{len(kept)}"
                self._answer(206, kept[first : last + 1], **told)
            else:
                self._answer(200, kept, **told | {"Content_Length": str(len(kept))})

    do_GET = do_HEAD = do_PUT = do_POST = _do

    def _tag(self, body: bytes) -> str:
        digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
        return f'"{digest}-1"' if self.server.odd_tags else f'"{digest}"'

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def bucket() -> Iterator[Bucket]:
    """A bucket while the block runs."""
    server = Bucket()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
