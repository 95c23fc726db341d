"""PURE. What may be written down of a SIP message: all of it but passwords, keys of media, and hidden keys.

Hidden characters of a body are written as one :data:`HIDDEN` each, so that its length is known again.
"""

from __future__ import annotations

import re

from voiceagent.call.inputs import HIDDEN
from voiceagent.sip.syntax.headers import canonical_name
from voiceagent.sip.trunk.gatekeeper import shown_to_nobody

_PROOFS = re.compile(
    r"((?:^|\r)(?:proxy-)?(?:authorization|authentication-info))([ \t]*:)[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*",
    re.IGNORECASE | re.MULTILINE,
)
"""Headers that prove who somebody is, folded lines included."""
_LINE = re.compile(r"(?<=\n)([^\s:]+)([ \t]*:)([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)")
_URI_PASSWORD = re.compile(r"(\bsips?:[^\s:@<>;,\"]+):[^\s@<>;,\"]+@", re.IGNORECASE)
_MAY_BE_PASSWORD = re.compile(r":[^\s:@<>;,\"]+:[^\s:@<>;,\"]+@")
"""The same, found ten times faster, and more often than it is one."""
_MEDIA_KEY = re.compile(
    r"(?<=inline:)[^\s|;]+|(?<=\na=ice-pwd:)[^\r\n]+|(?<=\nk=)[^\r\n]+", re.IGNORECASE
)  # SDES (RFC 4568), ICE, and k= of RFC 4566
_SIGNAL = re.compile(r"(?<=signal=)[ \t]*[^\r\n]+", re.IGNORECASE)
_MARK = re.compile(r"[!-~]")


def shown(data: bytes, *, hide_keys: bool = False) -> tuple[str, bool]:
    """Return a message as text, and whether something of its body is hidden.

    ``hide_keys``: what the caller keys in now is a secret, also where it comes by INFO.
    """
    head, gap, body = text_of(data).lstrip("\r\n").partition("\r\n\r\n")
    hide = hide_keys and head.startswith("INFO ")
    if hide and not gap:
        return shown_body(shown_head(head), keys=True), True  # it was cut off: who knows where
    written = shown_body(body, keys=hide)
    return f"{shown_head(head)}{gap}{written}", written != body


def shown_head(text: str) -> str:
    """Return header lines, or a URI, without credentials."""
    if "auth" in text.lower():
        text = _PROOFS.sub(rf"\1\2 {HIDDEN}", text)
    return _URI_PASSWORD.sub(r"\1:***@", text) if _MAY_BE_PASSWORD.search(text) else text


def without_claims(text: str) -> str:
    """Return a message without what an untrusted trunk claims of its caller: flows do not get that either."""
    head, gap, body = text.partition("\r\n\r\n")

    def line(found: re.Match[str]) -> str:
        claimed = shown_to_nobody(canonical_name(found[1]))
        return f"{found[1]}{found[2]} {HIDDEN}" if claimed else found[0]

    return f"{_LINE.sub(line, head)}{gap}{body}"


def shown_body(text: str, *, keys: bool = False) -> str:
    """Return a body without the keys of its media; ``keys``: without the pressed keys that it tells, too."""
    low = text.lower()
    if "inline:" in low or "ice-pwd:" in low or "\nk=" in low:
        text = _MEDIA_KEY.sub(_hidden, text)
    if not keys:
        return text
    told, signals = _SIGNAL.subn(_hidden, text)
    return told if signals else _MARK.sub(HIDDEN, text)


def _hidden(found: re.Match[str]) -> str:
    return _MARK.sub(HIDDEN, found[0])


def text_of(data: bytes) -> str:
    """Return the text of bytes, whatever they are; :func:`bytes_of` gives them back."""
    return data.decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    """Return the bytes of :func:`text_of`."""
    return text.encode("utf-8", "surrogateescape")
