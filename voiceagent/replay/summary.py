"""PURE. The head of an account: how the call went, in a few lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from statistics import median
from typing import Any

from voiceagent.replay.asked import Requests
from voiceagent.replay.happenings import Happenings, media_in_words
from voiceagent.replay.telling import clock, count, seconds
from voiceagent.replay.turns import Line


class Summary:
    """What stands on top. ``offer`` and ``end`` are the first and last entry; empty where there is none."""

    def __init__(
        self,
        offer: Mapping[str, Any],
        end: Mapping[str, Any],
        last_t: float,
        line: Line,
        requests: Requests,
        happenings: Happenings,
    ) -> None:
        self._offer, self._end, self._last = offer, end, last_t
        self._line, self._requests, self._happenings = line, requests, happenings

    @property
    def triggers(self) -> list[dict[str, Any]]:
        """Requests of operators, with what they waited for."""
        return [one.plain() for one in self._requests.wishes.values() if one.origin == "operator"]

    def plain(self) -> dict[str, Any]:
        """Return the summary as JSON values."""
        turns = self._line.turns
        slowest = max(turns, key=lambda one: one.latency_s, default=None)
        return {
            "call_id": self._offer.get("call_id"),
            "caller": self._offer.get("caller"),
            "called": self._offer.get("called"),
            "flow": self._offer.get("flow"),
            "duration_s": self._end.get("duration_s", round(self._last, 3)),
            "outcome": self._end.get("outcome"),
            "reason": self._end.get("reason"),
            "detail": self._end.get("detail"),
            "first_words_s": self._end.get("first_words_s"),
            "responses": len(self._requests.wishes),
            "turns": [one.plain() for one in turns],
            "slowest_turn": None if slowest is None else slowest.plain(),
            "cuts": [asdict(one) for one in self._requests.cuts],
            "longest_gap_s": self._end.get("longest_gap_s"),
            "gaps": [asdict(one) for one in self._line.gaps],
            "triggers": self.triggers,
            "tools": [{"tool": name, "ok": ok, "seconds": took} for name, ok, took in self._happenings.tools],
            "refused_tools": self._happenings.refused_tools,
            "transfers": [{"target": to, "accepted": ok} for to, ok in self._happenings.transfers],
            "queues": [
                {"queue": name, "reason": reason, "waited_s": waited}
                for name, reason, waited in self._happenings.queued
            ],
            "holds": self._happenings.holds,
            "provider_losses": self._happenings.losses,
            "media": self._end.get("media"),
        }

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield label and text of each line that has something to say."""
        offer, end = self._offer, self._end
        if offer:
            yield "call", f"{offer.get('caller')} → {offer.get('called')}, flow {offer.get('flow')}"
        if end:
            detail = f", {end['detail']}" if end.get("detail") else ""
            yield "outcome", f"{end.get('outcome')}: {str(end.get('reason')).replace('_', ' ')}{detail}"
        first = (
            f"; first words {seconds(end['first_words_s'])} after the answer"
            if end.get("first_words_s")
            else ""
        )
        yield "length", clock(float(end.get("duration_s") or self._last)) + first
        yield from self._speech()
        tools = self._happenings.tools
        if tools or self._happenings.refused_tools:
            failed = sum(not ok for _, ok, _ in tools)
            slowest = max(tools, key=lambda one: one[2], default=None)
            told = [count(len(tools), "call")]
            told += [f"{failed} failed"] if failed else []
            told += [f"{self._happenings.refused_tools} refused"] if self._happenings.refused_tools else []
            told += [f"slowest {slowest[0]} with {seconds(slowest[2])}"] if slowest else []
            yield "tools", ", ".join(told)
        if self._happenings.transfers:
            yield (
                "transfers",
                ", ".join(f"{to} {'accepted' if ok else 'failed'}" for to, ok in self._happenings.transfers),
            )
        for name, reason, waited in self._happenings.queued:
            yield "queue", f"{name}: {seconds(waited)}, {reason.replace('_', ' ')}"
        if self._happenings.holds:
            yield "holds", str(self._happenings.holds)
        if self._happenings.losses:
            yield "provider", f"lost {count(self._happenings.losses, 'time')}"
        for one in media_in_words(end.get("media") or {}):
            label, _, text = one.partition(": ")
            yield label, text

    def _speech(self) -> Iterator[tuple[str, str]]:
        turns = self._line.turns
        if turns:
            slowest = max(turns, key=lambda one: one.latency_s)
            slow = sum(one.slow for one in turns)
            middle = seconds(median(one.latency_s for one in turns))
            told = [f"{count(len(turns), 'reply', 'replies')}, median {middle}"]
            told.append(
                f"slowest {seconds(slowest.latency_s)} at {clock(slowest.heard)} ({slowest.in_words()})"
            )
            if slow:
                told.append(f"{slow} slow")
            yield "turns", ", ".join(told)
        for cut in self._requests.cuts:
            words = f"{cut.heard_words} of {cut.words} words" if cut.words else "nothing"
            yield (
                "cut",
                f"{cut.name} by {cut.by} at {clock(cut.t)}: {words} heard in {cut.heard_ms / 1000:.1f} s",
            )
        if self._end.get("longest_gap_s"):
            yield "dead air", f"{seconds(self._end['longest_gap_s'])} at most while it was our turn"
        for wish in self._requests.wishes.values():
            if wish.origin == "operator":
                waits = f", waited {wish.waits_in_words()}" if wish.waits_in_words() else ", at once"
                who = f" by {wish.operator}" if wish.operator else ""
                yield "trigger", f"{wish.name}{who} at {clock(wish.asked)}{waits}: {wish.outcome or 'open'}"
