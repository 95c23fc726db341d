"""What the console's page weighs as it is served: every file that a page needs, plain and as it is sent.

The files are found as a browser finds them: what ``index.html`` names, what modules import, and what a page
loads when it is first shown.
"""

from __future__ import annotations

import gzip
import re
from typing import Any

from voiceagent.bench.console_readers import Asker

_LINK = re.compile(r"(?:href|src)=\"/static/([a-z-]+\.(?:css|js|svg))\"")
_IMPORT = re.compile(r"^(?:import|export)\b[^;\n]*?\"\./([a-z-]+\.js)\";", re.MULTILINE)
_LATER = re.compile(r"import\(\"\./([a-z-]+\.js)\"\)(?!\.)")
_NAMED = re.compile(r"\"([a-z-]+\.(?:css|js))\"")
_PAGE = re.compile(r"name: \"([a-z]+)\".*?import\(\"\./([a-z-]+\.js)\"\)")
ENTRY = "main.js"


async def page_weights(asker: Asker) -> dict[str, Any]:
    """Return bytes and files of every page.

    ``first`` is the floor with a call open, everything that it loads later included; the others are what they
    add to it.
    """
    files = _Files(asker)
    index = await files.text("/")
    begin = {ENTRY, *_LINK.findall(index)}
    router = await files.text("/static/router.js")
    pages: dict[str, str] = dict(_PAGE.findall(router))
    first = await files.closure({*begin, pages["floor"]}, later=True, without=set(pages.values()))
    figures = {"first": files.weight({"/", *map(_path, first)})}
    for name, file in pages.items():
        if name == "floor":
            continue
        own = await files.closure({file}, later=True, without=set(pages.values()) - {file})
        figures[name] = files.weight({_path(one) for one in own - first if files.known(_path(one))})
    return {
        "gzip": all(sent != plain for plain, sent in files.sizes.values() if plain > 1000),
        **figures,
    }


def _path(name: str) -> str:
    return f"/static/{name}"


class _Files:
    """Files of the page as they came."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self._texts: dict[str, str] = {}
        self.sizes: dict[str, tuple[int, int]] = {}
        """Path → bytes plain, bytes sent."""

    async def text(self, path: str) -> str:
        """Return a file; empty where there is none."""
        if path not in self._texts:
            status, told, content = await self._asker.ask("GET", path, headers=("Accept-Encoding: gzip",))
            if status != 200:
                self._texts[path] = ""
                return ""
            plain = gzip.decompress(content) if told.get("content-encoding") == "gzip" else content
            self.sizes[path] = len(plain), len(content)
            self._texts[path] = plain.decode()
        return self._texts[path]

    async def closure(self, names: set[str], *, later: bool, without: set[str]) -> set[str]:
        """Return these files and all that they load; with ``later`` also what they load when it is used."""
        found: set[str] = set()
        pending = set(names)
        while pending:
            name = pending.pop()
            found.add(name)
            text = await self.text(_path(name))
            wanted = set(_IMPORT.findall(text))
            if later and name not in ("router.js",):
                wanted |= set(_LATER.findall(text)) | set(_NAMED.findall(text))
            pending |= wanted - found - without
        return {name for name in found if self.known(_path(name))}

    def known(self, path: str) -> bool:
        """Whether there is such a file."""
        return path in self.sizes

    def weight(self, paths: set[str]) -> dict[str, int]:
        """Return what these files weigh together."""
        sizes = [self.sizes[path] for path in paths]
        return {
            "files": len(sizes),
            "bytes": sum(plain for plain, _ in sizes),
            "bytes_sent": sum(sent for _, sent in sizes),
        }
