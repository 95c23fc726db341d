"""PURE. A session description as bytes, lines in the order of RFC 8866 §5."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voiceagent.media.sdp.values import MediaDescription, SessionDescription

KEPT_ORDER = "iuepbzk"
"""Where the kept lines stand among each other; unknown types come after these."""


def serialise(session: SessionDescription) -> bytes:
    """The text, UTF-8, undecodable bytes as they came. ValueError when a value holds CR or LF."""
    lines = ["v=0"]
    if session.origin is not None:
        lines.append(f"o={session.origin}")
    lines.append(f"s={session.name}")
    lines += _kept(session, "iuep")
    if session.connection is not None:
        lines.append(f"c={session.connection}")
    lines += _kept(session, "b")
    # An r= line belongs to the t= line before it, so the reader keeps both here in order.
    lines += [time if time[:2] == "r=" else f"t={time}" for time in session.times]
    lines += _rest(session, "iuepb")
    lines += [f"a={attribute}" for attribute in session.attributes]
    for media in session.media:
        lines += _media(media)
    text = "\r\n".join(lines) + "\r\n"
    if text.count("\n") != len(lines) or text.count("\r") != len(lines):
        raise ValueError("an SDP value holds CR or LF")
    return text.encode("utf-8", "surrogateescape")


def _media(media: MediaDescription) -> list[str]:
    port = str(media.port) if media.port_count == 1 else f"{media.port}/{media.port_count}"
    lines = [" ".join((f"m={media.kind}", port, media.protocol, *media.formats))]
    lines += _kept(media, "i")
    if media.connection is not None:
        lines.append(f"c={media.connection}")
    lines += _rest(media, "i")
    lines += [f"a={attribute}" for attribute in media.attributes]
    return lines


def _kept(section: SessionDescription | MediaDescription, kinds: str) -> list[str]:
    return [f"{line.kind}={line.value}" for line in section.extra if line.kind in kinds]


def _rest(section: SessionDescription | MediaDescription, written: str) -> list[str]:
    return [f"{line.kind}={line.value}" for line in section.extra if line.kind not in written]
