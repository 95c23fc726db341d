"""PURE. What may stand in a browser's offer (RFC 8829), and what our answer tells it.

The candidates of an offer are left out: the browser's checks reach us and make its address known (RFC 8445
§7.3.1.3). So nothing is sent to an address that an offer only names, and no ``.local`` name has to be looked
up, for which a connection would wait a second.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from voiceagent.errors import RequestRefused

MAX_CHARS = 65_536
MAX_LINES = 500
"""Browsers send a hundred or two. The parser looks through its `a=ssrc` lines for each of them: 65,536
characters of such would hold the event loop for half a second."""
Codec = Literal["PCMU", "PCMA"]
CODECS: tuple[tuple[Codec, int], ...] = (("PCMU", 0), ("PCMA", 8))
"""In our order, with their static types; every browser has both (RFC 7874 §3)."""
_MEDIA = ("audio", "application")
_LEFT_OUT = ("a=candidate:", "a=end-of-candidates", "a=ice-lite", "a=remote-candidates:")


@dataclass(slots=True)
class _Section:
    """One ``m=`` section, as far as we look at it."""

    kind: str
    types: list[str]
    lines: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class BrowserOffer:
    """An offer that can be answered: its text without candidates, and the codec to answer with."""

    text: str
    codec: Codec
    payload_type: int


def read_offer(text: str) -> BrowserOffer:
    """Check a browser's offer. Raises RequestRefused (field ``sdp``) saying what is missing."""
    if len(text) > MAX_CHARS:
        raise _refused(f"is longer than {MAX_CHARS} characters")
    # Lines as aiortc's parser sees them: it also ends one at a lone CR, VT, FF …, after which a candidate
    # would not be left out.
    lines = [line for line in text.splitlines() if line]
    if len(lines) > MAX_LINES:
        raise _refused(f"has more than {MAX_LINES} lines")
    if not lines or lines[0] != "v=0":
        raise _refused("is no SDP: its first line is not v=0")
    head, sections = _sections(lines)
    kinds = [section.kind for section in sections]
    if kinds.count("audio") != 1:
        raise _refused("must have one audio section, that of the microphone")
    if kinds.count("application") > 1 or any(kind not in _MEDIA for kind in kinds):
        raise _refused("must have nothing but audio and one data channel")
    if len(sections) > 1 and not any(line.startswith("a=group:BUNDLE ") for line in head):
        raise _refused("must bundle its sections (a=group:BUNDLE)")
    audio = sections[kinds.index("audio")]
    for section in sections:
        _check_transport(head, section)
    _check_bundle(head, sections)
    if {"a=sendonly", "a=recvonly", "a=inactive"} & {*audio.lines}:
        raise _refused("must send and receive audio (a=sendrecv)")
    if "a=rtcp-mux" not in audio.lines:
        raise _refused("must share one port for RTP and RTCP (a=rtcp-mux)")
    codec, payload_type = _codec_of(audio)
    kept = [line for line in lines if not line.startswith(_LEFT_OUT)]
    return BrowserOffer("\r\n".join(kept) + "\r\n", codec, payload_type)


def told_answer(text: str, bound: str, told: str) -> str:
    """Return our answer with the address that browsers are told in place of the one that is bound."""
    if bound == told:
        return text
    lines = text.split("\r\n")
    for at, line in enumerate(lines):
        if line.startswith("a=candidate:"):
            parts = line.split(" ")
            if len(parts) > 4 and parts[4] == bound:
                parts[4] = told
            lines[at] = " ".join(parts)
    return "\r\n".join(lines)


def _sections(lines: list[str]) -> tuple[list[str], list[_Section]]:
    head: list[str] = []
    sections: list[_Section] = []
    for line in lines:
        if line.startswith("m="):
            parts = line[2:].split()
            if len(parts) < 4:
                raise _refused(f"has a line that cannot be read: {line[:60]!r}")
            sections.append(_Section(parts[0], parts[3:]))
        else:
            (sections[-1].lines if sections else head).append(line)
    return head, sections


def _check_transport(head: list[str], section: _Section) -> None:
    for needed, words in (
        ("a=ice-ufrag:", "ICE"),
        ("a=ice-pwd:", "ICE"),
        ("a=fingerprint:", "DTLS"),
        ("a=setup:", "DTLS"),
        ("a=mid:", "BUNDLE"),
    ):
        if not any(line.startswith(needed) for line in (*head, *section.lines)):
            raise _refused(
                f"lacks {needed.rstrip(':')} in its {section.kind} section: it is no {words} offer"
            )


def _check_bundle(head: list[str], sections: list[_Section]) -> None:
    """Every section has one name of its own, and the bundle names just them: aiortc takes that on trust."""
    mids = [
        [line.removeprefix("a=mid:") for line in section.lines if line.startswith("a=mid:")]
        for section in sections
    ]
    names = [name for found in mids for name in found]
    if any(len(found) != 1 for found in mids) or len(set(names)) != len(names):
        raise _refused("must name every section once (a=mid)")
    groups = [line.split()[1:] for line in head if line.startswith("a=group:BUNDLE")]
    if any(sorted(group) != sorted(names) for group in groups):
        raise _refused("must bundle just the sections that it has (a=group:BUNDLE)")


def _codec_of(audio: _Section) -> tuple[Codec, int]:
    names: dict[str, str] = {str(number): codec for codec, number in CODECS}
    for line in audio.lines:
        if line.startswith("a=rtpmap:"):
            number, _, name = line[len("a=rtpmap:") :].partition(" ")
            names[number] = name.upper()
    for codec, _ in CODECS:
        for number in audio.types:
            if number.isdecimal() and names.get(number, "") in (codec, f"{codec}/8000", f"{codec}/8000/1"):
                return codec, int(number)
    raise _refused("offers neither PCMU nor PCMA")


def _refused(words: str) -> RequestRefused:
    return RequestRefused("sdp", words, code="bad_sdp")
