"""Mend what a killed process left: a recording whose header tells less than the file holds."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from voiceagent.errors import MediaError

HEADER = 44
"""Bytes before the audio of a file that :class:`~voiceagent.media.wav.WavWriter` has written as PCM."""


def repair_wav(path: Path) -> float:
    """Make the header of a recording tell all the audio that the file holds; return its seconds.

    The sizes are written once a second, so that the last second before a crash is in the file and not in its
    header. Half a sample at the end is cut off. A whole file is not touched. Symbolic links are not followed.
    Raises MediaError (code ``wav``) for what is no PCM recording of ours, OSError where it cannot be opened.
    """
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(path, flags), "r+b") as file:
        header = file.read(HEADER)
        if (
            len(header) < HEADER
            or header[:4] != b"RIFF"
            or header[8:16] != b"WAVEfmt "
            or header[20:22] != b"\x01\x00"
            or header[36:40] != b"data"
        ):
            raise MediaError("not a recording of ours", code="wav")
        rate, block = struct.unpack_from("<I", header, 24)[0], struct.unpack_from("<H", header, 32)[0]
        if not rate or not block:
            raise MediaError("the header names no rate", code="wav")
        size = file.seek(0, os.SEEK_END)
        audio = (size - HEADER) // block * block
        told = struct.unpack_from("<I", header, 40)[0]
        if told != min(audio, 0xFFFFFFFF) or size != HEADER + audio:
            file.truncate(HEADER + audio)
            for at, value in ((4, HEADER - 8 + audio), (40, audio)):
                file.seek(at)
                file.write(struct.pack("<I", min(value, 0xFFFFFFFF)))
            file.flush()
            os.fsync(file.fileno())
    return audio / (rate * block)
