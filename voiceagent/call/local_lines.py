"""Lines that the call plays by itself, recorded, so that they need no provider.

They go to the leg like agent audio, under a response id of their own: :func:`is_local` tells them apart, and
no report about them ever reaches the session.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Literal

from voiceagent.call.leg import G711

LineName = Literal["moment", "patience", "apology"]
PREFIX = "local-"


def is_local(response_id: str) -> bool:
    """Return whether a playback report is about a line of our own."""
    return response_id.startswith(PREFIX)


@cache
def line(name: LineName, audio_format: G711) -> bytes:
    """Return a line as G.711 at 8 kHz.

    ``moment``: "One moment, please." ``patience``: "I am sorry, this takes a little longer than usual. Please
    stay on the line."
    """
    suffix = "pcma" if audio_format == "audio/pcma" else "pcmu"
    return (files("voiceagent.call") / "prompts" / f"{name}.{suffix}").read_bytes()
