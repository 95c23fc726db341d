"""Session descriptions for the tests of this folder."""

from __future__ import annotations

from voiceagent.media.sdp import Abilities, SessionDescription, parse_sdp

OURS = Abilities("192.0.2.1", 40_000, session_id=42, version=7)


def sdp(
    media: str = "m=audio 5004 RTP/AVP 0 8 101",
    *lines: str,
    connection: str | None = "IN IP4 192.0.2.9",
    session: tuple[str, ...] = (),
    time: str = "0 0",
) -> bytes:
    """A session description: one m= line and what follows it, further m= lines among ``lines``."""
    head = ["v=0", "o=- 1 1 IN IP4 192.0.2.9", "s=-"]
    if connection is not None:
        head.append(f"c={connection}")
    return "\r\n".join([*head, f"t={time}", *session, media, *lines, ""]).encode("utf-8", "surrogateescape")


EVENT = "a=rtpmap:101 telephone-event/8000"


def offer(media: str = "m=audio 5004 RTP/AVP 0 8 101", *lines: str, **more: object) -> SessionDescription:
    """``sdp`` read."""
    return parse_sdp(sdp(media, *(lines or (EVENT,)), **more))  # type: ignore[arg-type]
