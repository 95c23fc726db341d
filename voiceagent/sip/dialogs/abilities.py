"""PURE. What the peer of a dialog said it can do: its Allow and Supported headers."""

from __future__ import annotations

from dataclasses import dataclass

from voiceagent.errors import SipError
from voiceagent.sip.limits import DEFAULT
from voiceagent.sip.syntax.message import Request, Response


@dataclass(slots=True)
class Abilities:
    """The latest word of the peer. ``allows`` is None while it has not said which methods it takes."""

    allows: frozenset[str] | None = None
    supports: frozenset[str] = frozenset()
    """Option tags, in lower case."""

    def learn(self, message: Request | Response) -> None:
        """Take what ``message`` says; an absent header changes nothing (RFC 3261 §20.5)."""
        headers = message.headers
        if "Allow" in headers:
            self.allows = frozenset(headers.split_all("Allow", DEFAULT.list_values))
        if "Supported" in headers:
            self.supports = tags_of(message)

    def takes(self, method: str) -> bool:
        """Tell whether the peer has said that it takes ``method``."""
        return self.allows is not None and method in self.allows

    def refused(self, method: str) -> None:
        """The peer refused ``method`` with 405 or 501, whatever it had said."""
        self.allows = (self.allows or frozenset()) - {method}


def tags_of(message: Request | Response) -> frozenset[str]:
    """Return the option tags of Supported and Require, in lower case; none where they cannot be read."""
    return message.headers.derived("tags", lambda _: _read_tags(message))


def _read_tags(message: Request | Response) -> frozenset[str]:
    try:
        return frozenset([tag.lower() for tag in (*message.supported, *message.require)])
    except SipError:
        return frozenset()
