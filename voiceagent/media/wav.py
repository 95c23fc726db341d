"""WAV files: a writer whose file is right at any moment, and a reader.

The writer is meant for recordings of running calls. It writes the sizes in the header again with every
second of audio, so that a crash loses no more than what was never written; the reader takes what is there
when a header promises more.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Self

from voiceagent.errors import MediaError

PCM = 1
ALAW = 6
ULAW = 7
"""Format tags of RFC 2361."""
_TAGS = {"pcm": PCM, "alaw": ALAW, "ulaw": ULAW}
_NAMES: dict[int, Literal["pcm", "alaw", "ulaw"]] = {PCM: "pcm", ALAW: "alaw", ULAW: "ulaw"}
_MAX = 0xFFFFFFFF


class WavWriter:
    """Writes ``encoding`` samples, interleaved when there are several channels.

    ``pcm`` is 16-bit little-endian; ``ulaw`` and ``alaw`` are one byte a sample. The header is brought up
    to date every ``header_every`` bytes of audio (a second by default) and by :meth:`close`.
    """

    def __init__(
        self,
        path: str | Path | BinaryIO,
        *,
        rate: int = 8000,
        channels: int = 1,
        encoding: Literal["pcm", "ulaw", "alaw"] = "pcm",
        header_every: int | None = None,
    ) -> None:
        if channels < 1 or rate < 1:
            raise ValueError("a WAV file needs at least one channel and a rate")
        self._owned = isinstance(path, (str, Path))
        self._file: BinaryIO = open(path, "w+b") if isinstance(path, (str, Path)) else path  # noqa: SIM115
        self._tag = _TAGS[encoding]
        self._width = 2 if encoding == "pcm" else 1
        self._rate = rate
        self._channels = channels
        self._bytes = 0
        self._block = self._width * channels
        self._every = header_every if header_every is not None else rate * self._block
        self._next_header = self._every
        self._closed = False
        self._file.write(self._header())
        self._file.flush()

    @property
    def seconds(self) -> float:
        """Length written so far."""
        return self._bytes / (self._block * self._rate)

    def write(self, samples: bytes) -> None:
        """Append whole sample blocks; other lengths raise :class:`ValueError`."""
        if len(samples) % self._block:
            raise ValueError(f"{len(samples)} bytes are no whole number of {self._block}-byte blocks")
        self._file.write(samples)
        self._bytes += len(samples)
        if self._bytes >= self._next_header:
            self._next_header = self._bytes + self._every
            self._update()

    def close(self) -> None:
        """Complete the header; a file that was given as an object stays open."""
        if self._closed:
            return
        self._closed = True
        self._update()
        if self._owned:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _update(self) -> None:
        self._file.seek(0)
        self._file.write(self._header())
        self._file.seek(0, 2)
        self._file.flush()

    def _header(self) -> bytes:
        fmt = struct.pack(
            "<HHIIHH",
            self._tag,
            self._channels,
            self._rate,
            self._rate * self._block,
            self._block,
            8 * self._width,
        )
        extra = b""
        if self._tag != PCM:
            # Formats other than PCM carry the extension size and a fact chunk (RFC 2361, WAVE specification).
            fmt += b"\x00\x00"
            extra = b"fact" + struct.pack("<II", 4, min(_MAX, self._bytes // self._block))
        body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + extra
        return (
            b"RIFF"
            + struct.pack("<I", min(_MAX, len(body) + 8 + self._bytes))
            + body
            + b"data"
            + struct.pack("<I", min(_MAX, self._bytes))
        )


@dataclass(frozen=True, slots=True)
class Wav:
    """A file read whole. ``data`` is interleaved, as in the file."""

    rate: int
    channels: int
    encoding: Literal["pcm", "ulaw", "alaw"]
    data: bytes

    @property
    def seconds(self) -> float:
        """Length of the audio."""
        return len(self.data) / (self.rate * self.channels * (2 if self.encoding == "pcm" else 1))

    def channel(self, index: int) -> bytes:
        """Return one channel's samples."""
        if not 0 <= index < self.channels:
            raise IndexError(f"channel {index} of {self.channels}")
        width = 2 if self.encoding == "pcm" else 1
        block = width * self.channels
        data = self.data[: len(self.data) // block * block]
        out = bytearray(len(data) // self.channels)
        for at in range(width):
            out[at::width] = data[index * width + at :: block]
        return bytes(out)


def read_wav(source: str | Path | bytes) -> Wav:
    """Read 16-bit PCM, µ-law or A-law. Raises :class:`MediaError` with code ``wav`` for anything else."""
    raw = source if isinstance(source, bytes) else Path(source).read_bytes()
    if len(raw) < 12 or raw[:4] != b"RIFF" or raw[8:12] != b"WAVE":
        raise MediaError("not a WAV file", code="wav")
    at = 12
    fmt: tuple[int, int, int, int] | None = None
    while at + 8 <= len(raw):
        kind = raw[at : at + 4]
        size = int.from_bytes(raw[at + 4 : at + 8], "little")
        body = raw[at + 8 : at + 8 + size]
        if kind == b"fmt ":
            if len(body) < 16:
                raise MediaError("the fmt chunk is cut off", code="wav")
            tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
            if tag == 0xFFFE and len(body) >= 26:
                tag = int.from_bytes(body[24:26], "little")  # extensible: the tag leads the sub-format
            fmt = (tag, channels, rate, bits)
        elif kind == b"data" and fmt is not None:
            tag, channels, rate, bits = fmt
            encoding = _NAMES.get(tag)
            if encoding is None or bits != (16 if encoding == "pcm" else 8) or not channels or not rate:
                raise MediaError(f"WAV format {tag} with {bits} bits is not understood", code="wav")
            return Wav(rate, channels, encoding, body)
        at += 8 + size + size % 2
    raise MediaError("the WAV file has no audio", code="wav")


def interleave(left: bytes, right: bytes, width: int = 1) -> bytes:
    """Weave two channels of ``width``-byte samples (a call: caller left, agent right), equally long."""
    if len(left) != len(right) or len(left) % width:
        raise ValueError(f"channels of {len(left)} and {len(right)} bytes do not match")
    out = bytearray(2 * len(left))
    for at in range(width):
        out[at :: 2 * width] = left[at::width]
        out[width + at :: 2 * width] = right[at::width]
    return bytes(out)
