"""PURE. Does the provider still speak? Judged by how responses end, not by whether its socket is open."""

from __future__ import annotations

from dataclasses import dataclass

from voiceagent.call.outcome import CallOutcome, OutcomeClass
from voiceagent.realtime.fault_table import Remedy, remedy_of
from voiceagent.realtime.requests import Origin, Outcome, OutcomeKind

MUTE_LIMIT = 2
"""So many responses may fail in a row; each was tried again by the sequencer already."""
OUR_REFUSALS = frozenset({"overloaded", "need_refused"})
"""Codes of rejected requests that say nothing about the provider."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The caller would sit in silence: replace the session, or (``final``) end the call with ``outcome``."""

    outcome: CallOutcome
    final: bool


class ProviderHealth:
    """Counts responses that the provider failed, with nothing heard between them."""

    def __init__(self) -> None:
        self._mute = 0
        self._replaced = False

    def judge(self, origin: Origin | None, outcome: Outcome) -> Verdict | None:
        """Take the end of a response; return what has to be done when the caller would sit in silence.

        An operator's wish that fails is told to the operator and proves nothing, unless the code does.
        """
        if outcome.heard_ms or outcome.completed:
            self._mute = 0
            self._replaced = False
            return None
        failed = outcome.kind is OutcomeKind.FAILED or (
            outcome.kind is OutcomeKind.REJECTED and outcome.code not in OUR_REFUSALS
        )
        if not failed or origin is None:
            return None
        remedy = remedy_of(outcome.code)
        at_once = remedy in (Remedy.FATAL, Remedy.HEDGE)
        if origin is Origin.OPERATOR and not at_once:
            return None
        self._mute += 1
        if self._mute < MUTE_LIMIT and not at_once:
            return None
        self._mute = 0
        final = self._replaced or remedy not in (Remedy.RETRY, Remedy.SPEAK, Remedy.HEDGE)
        self._replaced = True
        end = CallOutcome(OutcomeClass.PROVIDER, outcome.code or "responses_failed", outcome.reason)
        return Verdict(end, final)
