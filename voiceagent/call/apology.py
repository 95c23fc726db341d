"""The words for the caller when the provider cannot speak: recorded, so that they need nobody."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from voiceagent.call.leg import G711

RESPONSE_ID = "local-apology"
"""Stands in for a response id in the leg's playback reports."""


@cache
def apology(audio_format: G711) -> bytes:
    """Return "We are sorry, … Please call again later." as G.711 at 8 kHz."""
    name = "apology.pcma" if audio_format == "audio/pcma" else "apology.pcmu"
    return (files("voiceagent.call") / "prompts" / name).read_bytes()
