"""PURE. Moments of a call as marks on its time line: who cut whom, keys, tools, what operators did.

Words are those of the account (:mod:`voiceagent.replay.happenings`), except that the arguments of tools stay
out, and that of what is keyed in secret only the fact is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from voiceagent.ivr.ports import HIDDEN
from voiceagent.replay.happenings import Happenings
from voiceagent.replay.telling import quote, seconds

MOST = 500
TEXT_CHARS = 200
KEYS_TOGETHER_S = 3.0
"""Keys with no longer pause between them are one mark."""
KEYS_SHOWN = 32
TOOLS_OPEN = 32
"""So many calls of tools are remembered to be under way."""
SECRET = "secret entry"

KIND: Mapping[str, str] = {
    "caller.digit": "digit",
    "digits.sent": "digit",
    "secret.opened": "digit",
    "tool.called": "tool",
    "tool.ended": "tool",
    "tool.refused": "tool",
    "fetch.ended": "tool",
    "call.held": "hold",
    "call.resumed": "hold",
    "caller.held": "hold",
    "caller.resumed": "hold",
    "queue.entered": "hold",
    "queue.left": "hold",
    "queue.offered": "transfer",
    "transfer.started": "transfer",
    "transfer.ended": "transfer",
    "transfer.refused": "transfer",
    "fallback.transfer": "transfer",
    "refer.received": "transfer",
    "recording.started": "recording",
    "recording.paused": "recording",
    "recording.resumed": "recording",
    "recording.finished": "recording",
    "recording.failed": "recording",
    "call.answered": "notice",
    "call.ended": "notice",
    "flow.failed": "notice",
    "line.played": "notice",
    "line.resumed": "notice",
    "apology": "notice",
    "goodbye.cut": "notice",
    "provider.lost": "notice",
    "recovery.restored": "notice",
    "recovery.failed": "notice",
    "handover.done": "notice",
}
"""Types of entries that leave a mark, and which; so do all that begin with ``operator.``."""

_BY_OPERATOR: Mapping[str, tuple[str, str]] = {
    "trigger": ("operator", "makes the agent speak"),
    "withdraw": ("operator", "takes a wish back"),
    "hang_up": ("operator", "hangs up"),
    "dial": ("operator", "places the call"),
    "hold": ("operator", "puts the caller on hold"),
    "resume": ("operator", "takes the caller back"),
    "transfer": ("operator", "hands the caller on"),
    "send_digits": ("operator", "sends keys"),
    "note": ("operator", "whispers to the agent"),
    "tag": ("operator", "sets the tags"),
    "pause_recording": ("recording", "pauses the recording"),
    "resume_recording": ("recording", "goes on with the recording"),
    "listen": ("listen", "listens"),
    "listen_ended": ("listen", "no longer listens"),
    "take_over": ("take_over", "speaks instead of the agent"),
    "hand_back": ("take_over", "gives the call back to the agent"),
}


@dataclass(slots=True)
class Mark:
    """One moment."""

    at: float
    kind: str
    text: str

    def plain(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"at": round(self.at, 3), "kind": self.kind, "text": self.text}


class Marks:
    """The marks of one call, the newest ``most``; what was left out is said in the first of them."""

    __slots__ = ("_all", "_happenings", "_keys", "_left_out", "_most", "_secret", "_tools")

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._all: list[Mark] = []
        self._left_out = 0
        self._happenings = Happenings()
        self._tools: list[tuple[str, Mark]] = []
        self._keys: tuple[Mark, float] | None = None
        self._secret: Mark | None = None

    def add(self, t: float, kind: str, text: str) -> Mark:
        """Make a mark."""
        mark = Mark(t, kind, text[:TEXT_CHARS])
        self._all.append(mark)
        if len(self._all) > self._most:
            old = self._most // 4
            self._left_out += old
            del self._all[:old]
        return mark

    def take(self, kind: str, entry: Mapping[str, Any], t: float) -> None:
        """Take an entry of another type than ``sequencer``; most leave no mark."""
        known = KIND.get(kind)
        if known is None:
            if kind.startswith("operator."):
                self._operator(kind.removeprefix("operator."), entry, t)
            return
        match kind:
            case "caller.digit":
                self._key(str(entry.get("digit", "")), t)
            case "digits.sent":
                self.add(t, known, f"{entry.get('count')} keys are sent to the other side")
            case "secret.opened":
                self._secret = self.add(t, known, SECRET)
            case "tool.called" | "tool.ended" | "tool.refused" | "fetch.ended":
                self._tool(kind, entry, t)
            case "call.ended":  # in a live call its figures are no JSON yet
                why = str(entry.get("reason", "")).replace("_", " ")
                self.add(t, known, f"the call ended: {entry.get('outcome')}, {why}")
            case _:
                for told in self._happenings.take(entry, t):
                    self.add(t, known, told.text)
                self._happenings.transfers.clear()
                self._happenings.queued.clear()

    def plain(self) -> list[dict[str, Any]]:
        """Return the marks as JSON values."""
        marks = [mark.plain() for mark in self._all]
        if self._left_out and marks:
            text = f"{self._left_out} earlier marks are left out"
            marks.insert(0, Mark(self._all[0].at, "notice", text).plain())
        return marks

    def _key(self, digit: str, t: float) -> None:
        if digit == HIDDEN:
            self._keys = None
            if self._secret is None:
                self._secret = self.add(t, "digit", SECRET)
            return
        if self._keys is not None and t - self._keys[1] <= KEYS_TOGETHER_S:
            mark = self._keys[0]
            if len(mark.text) < KEYS_SHOWN:
                mark.text += digit[:1]
        else:
            mark = self.add(t, "digit", digit[:1])
        self._keys = (mark, t)

    def _tool(self, kind: str, entry: Mapping[str, Any], t: float) -> None:
        name = str(entry.get("tool") or entry.get("fetch") or "?")
        if kind == "tool.called":
            self._tools.append((name, self.add(t, "tool", f"{name} is called")))
            del self._tools[:-TOOLS_OPEN]
            return
        took = entry.get("seconds")
        after = f" after {seconds(took)}" if isinstance(took, int | float) else ""
        if kind == "tool.refused":
            text = f"{name} is refused: {entry.get('code', '')}"
        elif entry.get("ok") is False or entry.get("exception"):
            text = f"{name} failed{after}"
        else:
            text = f"{name} answered{after}"
        for index, (called, mark) in enumerate(self._tools):
            if called == name and kind != "fetch.ended":
                mark.text = text[:TEXT_CHARS]
                del self._tools[index]
                return
        self.add(t, "tool", text)

    def _operator(self, what: str, entry: Mapping[str, Any], t: float) -> None:
        kind, words = _BY_OPERATOR.get(what, ("operator", what.replace("_", " ")))
        text = f"{entry.get('operator') or 'an operator'} {words}"
        match what:
            case "trigger":
                text += (
                    f": {quote(str(entry.get('instructions') or ''))}" if entry.get("instructions") else ""
                )
            case "transfer":
                text += f" to {entry.get('target', '')}"
            case "hand_back" if entry.get("reason") not in (None, "asked"):
                text = f"the call goes back to the agent: {str(entry['reason']).replace('_', ' ')}"
            case "tag" if isinstance(entry.get("tags"), list | tuple):
                text += f": {', '.join(map(str, entry['tags']))}" if entry["tags"] else ": none"
            case _:
                pass
        self.add(t, kind, text)
