"""PURE. The requests of a call: what they waited for, how much of them was heard, who cut them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from voiceagent.replay.notices import REASONS, notice_in_words
from voiceagent.replay.telling import Told, quote, seconds
from voiceagent.replay.turns import Line

_QUIET = frozenset({"closed", "digit", "duplicate_request", "error_not_ours", "held"})
"""Notices that say what another line says already, or that nobody asks about."""
AT_ONCE_S = 0.005


@dataclass(slots=True)
class Wish:
    """One request to speak."""

    name: str
    origin: str
    asked: float
    attempts: int = 0
    created: float | None = None
    audible: bool = False
    outcome: str = ""
    waits: dict[str, float] = field(default_factory=dict[str, float])
    """Seconds by reason."""
    waiting: tuple[str, float] | None = None
    operator: str = ""
    """Who triggered it, where it was an operator."""

    def waits_in_words(self) -> str:
        """Return what it waited for: ``2.10 s because the caller is speaking``."""
        told = [
            f"{seconds(value)} because {REASONS.get(reason, reason.replace('_', ' '))}"
            for reason, value in self.waits.items()
            if value >= AT_ONCE_S
        ]
        return ", ".join(told)

    def plain(self) -> dict[str, Any]:
        """Return the request as JSON values."""
        waits = {reason: round(value, 3) for reason, value in self.waits.items()}
        return {
            "name": self.name,
            "t": self.asked,
            "operator": self.operator,
            "waits": waits,
            "outcome": self.outcome,
        }


@dataclass(frozen=True, slots=True)
class Cut:
    """One reply that was cut short."""

    t: float
    name: str
    by: str
    heard_ms: int
    heard_words: int
    words: int
    """Of the whole reply, as far as it was made."""


class Requests:
    """Tells what the sequencer did with every request."""

    def __init__(self, line: Line) -> None:
        self.wishes: dict[str, Wish] = {}
        self.cuts: list[Cut] = []
        self.closing = False
        """The call ends: what the sequencer clears away then is no news."""
        self._line = line
        self._by_response: dict[str, str] = {}

    def triggered(self, request_id: str, operator: str) -> None:
        """An operator has asked for this request."""
        if request_id in self.wishes:
            self.wishes[request_id].operator = operator

    def name(self, request_id: object, response_id: object = None) -> str:
        """Return what a request is called in the account: its number and who asked."""
        known = self.wishes.get(str(request_id or self._by_response.get(str(response_id), "")))
        if known is not None:
            return known.name
        return "a response of the provider's" if response_id else "the sequencer"

    def take(self, event: str, body: Mapping[str, Any], t: float) -> Iterator[Told]:
        """Take one step of the sequencer; yield what is to be told of it."""
        match event:
            case "Submitted":
                request = body["request"]
                if request["id"] in self.wishes:
                    return
                origin = str(request.get("origin", "?"))
                name = f"#{len(self.wishes) + 1} ({origin})"
                self.wishes[request["id"]] = Wish(name, origin, t)
                yield Told(
                    t,
                    f"{name} is asked for: {quote(request.get('instructions') or 'a plain reply')}",
                    "agent",
                )
            case "SendCreate":
                yield from self._created(body["request"]["id"], t)
            case "Progressed":
                yield from self._progressed(body, t)
            case "SendCancel":
                if body.get("response_id"):
                    yield Told(t, f"{self.name(None, body['response_id'])} is cancelled", "cut")
            case "Notice":
                yield from self._notice(body, t)
            case "Settled":
                yield self._settled(body, t)
            case "LinkDown":
                why = body.get("reason") or "no reason given"
                yield Told(t, f"the connection to the provider is lost: {why}", "trouble")
            case "LinkUp":
                if any(wish.waiting for wish in self.wishes.values()):
                    yield Told(t, "the connection to the provider stands again", "note")
            case "InterruptAsked" if not self.closing:
                yield Told(t, f"silence is asked for by {body.get('by', 'somebody')}", "cut")
            case _:
                return

    def _created(self, request_id: str, t: float) -> Iterator[Told]:
        wish = self.wishes.get(request_id)
        if wish is None:
            return
        self._waited(wish, t)
        wish.attempts += 1
        wish.created = t
        waited = t - wish.asked
        if waited < AT_ONCE_S and wish.attempts == 1:
            return
        again = f", attempt {wish.attempts}" if wish.attempts > 1 else ""
        why = f": {wish.waits_in_words()}" if wish.waits_in_words() else ""
        facts = {"waited_s": round(waited, 3), "waits": dict(wish.waits)}
        yield Told(t, f"{wish.name} goes to the model after {seconds(waited)}{again}{why}", "wait", facts)

    @staticmethod
    def _waited(wish: Wish, t: float, reason: str = "") -> None:
        if wish.waiting is not None:
            before, since = wish.waiting
            wish.waits[before] = wish.waits.get(before, 0.0) + t - since
        wish.waiting = (reason, t) if reason else None

    def _progressed(self, body: Mapping[str, Any], t: float) -> Iterator[Told]:
        wish = self.wishes.get(body["request_id"])
        if wish is None:
            return
        if body["progress"] == "started" and body.get("response_id"):
            self._by_response[body["response_id"]] = body["request_id"]
        elif body["progress"] == "audible" and not wish.audible:
            wish.audible = True
            turn = self._line.reply(t, wish.name, wish.asked, wish.created or wish.asked)
            if turn is None:
                yield Told(
                    t, f"{wish.name} is heard, {seconds(t - wish.asked)} after it was asked for", "agent"
                )
                return
            slow = "slow: " if turn.slow else ""
            after = f"{seconds(turn.latency_s)} after the caller stopped"
            text = f"{slow}{wish.name} is heard {after}: {turn.in_words()}".removesuffix(": ")
            yield Told(t, text, "slow" if turn.slow else "agent", turn.plain())

    def _notice(self, body: Mapping[str, Any], t: float) -> Iterator[Told]:
        code: str = body["code"]
        details: Mapping[str, Any] = body.get("details") or {}
        reason = str(details.get("reason", ""))
        who = self.name(body.get("request_id"), body.get("response_id"))
        wish = self.wishes.get(str(body.get("request_id")))
        if code == "held":
            if wish is not None:
                if wish.waiting is not None and wish.waiting[0] == reason:
                    return
                self._waited(wish, t, reason or "held")
            yield Told(t, f"{who} {notice_in_words(code, reason)}", "wait", {"reason": reason})
        elif code == "barge_in":
            yield Told(t, f"the caller speaks over {who}", "cut")
        elif code not in _QUIET:
            yield Told(t, f"{who}: {notice_in_words(code, reason)}", "note", {"code": code})

    def _settled(self, body: Mapping[str, Any], t: float) -> Told:
        outcome: Mapping[str, Any] = body["outcome"]
        wish = self.wishes.get(body["request_id"])
        kind, by = str(outcome["kind"]), str(outcome.get("by") or "")
        heard_ms, heard_text = int(outcome.get("heard_ms") or 0), str(outcome.get("heard_text") or "")
        if wish is not None:
            wish.outcome = kind
            self._waited(wish, t)
        text = f"{self.name(body['request_id'])} {kind}"
        if by:
            text += f" by {by}"
        if heard_ms:
            text += f" after {heard_ms / 1000:.1f} s"
            whole = len(str(outcome.get("text") or "").split())
            if kind == "interrupted" and whole:
                text += f", {len(heard_text.split())} of {whole} words heard"
            text += f": {quote(heard_text)}"
        elif kind == "completed":
            text += ", nothing to hear"
        if outcome.get("code"):
            text += f" ({outcome['code']})"
        elif outcome.get("other"):
            text += f" ({self.name(outcome['other'], outcome['other'])})"
        if kind == "interrupted":
            words = (len(heard_text.split()), len(str(outcome.get("text") or heard_text).split()))
            self.cuts.append(Cut(t, self.name(body["request_id"]), by or "somebody", heard_ms, *words))
        trouble = kind in ("failed", "lost", "rejected", "expired")
        facts = {"outcome": kind, "heard_ms": heard_ms}
        return Told(t, text, "cut" if kind == "interrupted" else "trouble" if trouble else "agent", facts)
