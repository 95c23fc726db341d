"""Finds the RFC 4475 and RFC 5118 messages, which are not part of the repository.

``VOICEAGENT_SIP_CORPORA`` names the folder that holds ``rfc4475/*.dat`` and ``rfc5118/*``; without it
``../shared/corpora`` next to the checkout is tried. Where there is none, the tests that need it are skipped.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest

VARIABLE = "VOICEAGENT_SIP_CORPORA"
_BESIDE = Path(__file__).resolve().parents[2].parent / "shared" / "corpora"


def corpora_folder() -> Path | None:
    """The folder, or None when there is none."""
    told = os.environ.get(VARIABLE)
    folder = Path(told) if told else _BESIDE
    return folder if (folder / "rfc4475").is_dir() and (folder / "rfc5118").is_dir() else None


def _folder() -> Path:
    folder = corpora_folder()
    if folder is None:
        pytest.skip(f"SIP CORPORA MISSING: set {VARIABLE} to the folder with rfc4475/ and rfc5118/")
    return folder


@cache
def rfc4475() -> dict[str, bytes]:
    """The torture messages by name (``wsinv``), bytes as in the RFC; ``test`` is none of them: left out."""
    return {p.stem: p.read_bytes() for p in sorted((_folder() / "rfc4475").glob("*.dat")) if p.stem != "test"}


@cache
def rfc5118() -> dict[str, bytes]:
    """The IPv6 torture messages by name, made what the RFC meant.

    The files have LF only: line ends become CRLF, and Content-Length is set right, since the values printed
    in the RFC do not fit the bodies printed there (268 for 251 bytes, 236 for 245, 181 for 189).
    """
    folder = _folder() / "rfc5118"
    return {p.name: _repaired(p.read_bytes()) for p in sorted(folder.iterdir()) if p.is_file()}


def _repaired(data: bytes) -> bytes:
    data = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    head, blank, body = data.partition(b"\r\n\r\n")
    lines = [
        b"Content-Length: %d" % len(body) if line.startswith(b"Content-Length:") else line
        for line in head.split(b"\r\n")
    ]
    return b"\r\n".join(lines) + blank + body
