"""Codecs of the wire against G.711 of the line, which is all that sessions, playout and concealment know.

A decoder turns payloads into G.711 of the line's law, an encoder turns 20 ms frames of it into payloads.
G.711 of the line's own law at 20 ms needs neither: :func:`decoder_for` and :func:`encoder_for` return None,
and the packets pass through untouched. G.722 and Opus come from PyAV, imported when the first call uses one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Literal, Protocol

from voiceagent.errors import ConfigError
from voiceagent.media.codecs.plain import PlainDecoder, PlainEncoder
from voiceagent.media.g711 import Law

CodecName = Literal["PCMU", "PCMA", "G722", "opus"]
PLAIN: tuple[CodecName, ...] = ("PCMU", "PCMA")
WIDE: tuple[CodecName, ...] = ("G722", "opus")
"""Codecs that need PyAV."""
LAWS: dict[str, Law] = {"PCMU": "ulaw", "PCMA": "alaw"}


class Decoder(Protocol):
    """Payloads of one stream, in order. ``scale`` is timestamp units per sample at 8 kHz."""

    @property
    def scale(self) -> int: ...

    def samples(self, payload: bytes) -> int:
        """How long ``payload`` sounds, in samples at 8 kHz; 0 when it is no payload of this codec."""
        ...

    def decode(self, payload: bytes) -> bytes:
        """Return ``samples(payload)`` bytes of G.711. ValueError when it cannot be decoded."""
        ...


class Encoder(Protocol):
    """One stream's packets. ``ticks`` is a payload's time in timestamp units."""

    @property
    def ticks(self) -> int: ...

    @property
    def scale(self) -> int: ...

    @property
    def waiting(self) -> int:
        """More than 0 while a payload is begun and not full."""
        ...

    def put(self, frame: bytes) -> Sequence[bytes]:
        """Take 20 ms of G.711; return the payloads that are full now, mostly one or none."""
        ...


@lru_cache(maxsize=1)
def have_wide() -> bool:
    """True when PyAV is installed (it is not imported)."""
    return find_spec("av") is not None


def available() -> tuple[CodecName, ...]:
    """The codecs of this installation, those that pass through untouched first."""
    return PLAIN + WIDE if have_wide() else PLAIN


def demand(codecs: Sequence[str]) -> tuple[str, ...]:
    """Return ``codecs``. ConfigError when one of them needs a package that is not installed."""
    missing = [name for name in codecs if name in WIDE] if not have_wide() else []
    if missing:
        raise ConfigError(
            "media.codecs", f"{', '.join(missing)} needs PyAV: pip install 'voiceagent[codecs]'"
        )
    return tuple(codecs)


async def load(codecs: Iterable[str]) -> None:
    """Import what ``codecs`` need, in a thread: it takes a quarter of a second, and other calls go on."""
    if have_wide() and not _WIDE_LOADED and any(name in WIDE for name in codecs):
        await asyncio.to_thread(_import_wide)


def _import_wide() -> None:
    for name in WIDE:
        import_module(f"{__name__}.{name.lower()}")
    _WIDE_LOADED.add(True)


_WIDE_LOADED: set[bool] = set()


def decoder_for(codec: str, line: Law) -> Decoder | None:
    """Return a decoder from ``codec`` to G.711 of law ``line``; None when nothing needs to be done."""
    law = LAWS.get(codec)
    if law is not None:
        return None if law == line else PlainDecoder(line)
    if codec == "G722":
        from voiceagent.media.codecs.g722 import G722Decoder

        return G722Decoder(line)
    from voiceagent.media.codecs.opus import OpusDecoder

    return OpusDecoder(line)


def encoder_for(codec: str, line: Law, ptime: int, fmtp: str = "") -> Encoder | None:
    """Return an encoder from frames of law ``line`` to packets of ``ptime`` ms of ``codec``.

    ``fmtp`` is what the peer's SDP asks of our stream. None when frames are payloads as they are.
    """
    law = LAWS.get(codec)
    if law is not None:
        return None if law == line and ptime == 20 else PlainEncoder(line, law, ptime)
    if codec == "G722":
        from voiceagent.media.codecs.g722 import G722Encoder

        return G722Encoder(line, ptime)
    from voiceagent.media.codecs.opus import OpusEncoder

    return OpusEncoder(line, ptime, fmtp)
