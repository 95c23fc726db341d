"""Recordings as Ogg Opus: about an eighth of the WAV file, 32 kbit/s for both sides together.

PyAV does it in a process of its own, with the lowest priority: the event loop and its interpreter lock have
nothing to do with it, and audio on its way to callers goes first. :func:`encode` is the work of that process,
``python -m voiceagent.records.opus WAV OPUS BITRATE``; it prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import ctypes
import hashlib
import json
import os
import signal
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from voiceagent.errors import MediaError

BITRATE = 32_000
PR_SET_PDEATHSIG = 1
"""Of ``linux/prctl.h``."""
TOLERANCE_S = 0.06
"""How much longer or shorter than the WAV file the result may decode: Opus has frames of 20 ms."""
LIMIT_S = 3600.0
"""An encoder that has not ended by then is ended: two hours of audio take it half a minute of a core."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A finished file."""

    seconds: float
    """Length, as it decodes."""
    bytes: int
    sha256: str


def opus_available() -> bool:
    """Whether PyAV is installed (it is not imported)."""
    return find_spec("av") is not None


def encode(wav: Path, opus: Path, bitrate: int = BITRATE) -> Encoded:
    """Encode ``wav`` and prove the result by decoding it. Raises MediaError (code ``opus``)."""
    av: Any = import_module("av")
    try:
        with av.open(str(wav)) as source, av.open(str(opus), "w", format="ogg") as out:
            audio = source.streams.audio[0]
            stream = out.add_stream("libopus", rate=8000, layout="stereo")
            stream.bit_rate = bitrate
            samples = 0
            for frame in source.decode(audio):
                samples += frame.samples
                frame.pts = None
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
            wanted = samples / audio.rate
        with av.open(str(opus)) as result:
            seconds: float = sum(frame.samples / frame.sample_rate for frame in result.decode(audio=0))
    except (av.FFmpegError, IndexError, ZeroDivisionError) as error:
        raise MediaError(f"{type(error).__name__}: {error}", code="opus") from None
    if abs(seconds - wanted) > TOLERANCE_S:
        raise MediaError(f"{wanted:.3f} s became {seconds:.3f} s", code="opus")
    return Encoded(round(seconds, 3), opus.stat().st_size, sha256_of(opus))


def sha256_of(path: Path) -> str:
    """Return the digest of a file, read piece by piece, and see it onto the disk."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    return digest


async def encode_apart(wav: Path, opus: Path, bitrate: int = BITRATE, *, limit_s: float = LIMIT_S) -> Encoded:
    """… in a process of its own. Cancelled, it takes the process with it. Raises MediaError."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "voiceagent.records.opus",
        str(wav),
        str(opus),
        str(bitrate),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(limit_s):
            told, errors = await process.communicate()
    except TimeoutError:
        raise MediaError(f"the encoder did not end within {limit_s:.0f} s", code="opus") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0:
        words = errors.decode(errors="replace").strip().splitlines()
        raise MediaError(words[-1] if words else f"the encoder ended with {process.returncode}", code="opus")
    return Encoded(**json.loads(told))


def main(arguments: list[str]) -> int:
    """Do the work of the process."""
    with suppress(OSError, AttributeError):
        os.nice(19)
    _end_with_parent()
    wav, opus, bitrate = arguments
    try:
        print(json.dumps(asdict(encode(Path(wav), Path(opus), int(bitrate)))))
    except (MediaError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _end_with_parent() -> None:
    """Have the kernel end this process when its parent is killed (Linux): nobody waits for its work then."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
