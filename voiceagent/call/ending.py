"""How one call is to end: what comes first decides; what comes later and is not polite only hurries it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from voiceagent.call.leg import TransferResult
from voiceagent.call.outcome import CallOutcome, OutcomeClass

if TYPE_CHECKING:
    from voiceagent.call.call import Call


class Ending:
    """The end of one call, from the first reason for it until the call is closed. Synchronous."""

    __slots__ = ("_call", "_provider_lost", "afterwards", "hurry", "known")

    def __init__(self, call: Call) -> None:
        self._call = call
        loop = asyncio.get_running_loop()
        self.known: asyncio.Future[CallOutcome] = loop.create_future()
        """How the call is to end, as soon as that is known."""
        self.hurry: asyncio.Future[None] = loop.create_future()
        """Done when nobody is to wait for last words any more."""
        self.afterwards: CallOutcome | None = None
        """What happened first to a call that was about to end politely: a BYE, a hang-up, a loss."""
        self._provider_lost: CallOutcome | None = None
        """A loss during a transfer."""

    def finish(self, outcome: CallOutcome) -> None:
        """Have the call end so, unless it is ending already."""
        if not outcome.polite:
            self.hush()
            if not self.hurry.done():
                self.hurry.set_result(None)
        if not self.known.done():
            self.known.set_result(outcome)
        elif self.afterwards is None and not outcome.polite:
            self.afterwards = outcome

    def hush(self) -> None:
        """From now on nobody can ask for speech."""
        if self._call.speech is not None:
            self._call.speech.closed = True

    @property
    def word(self) -> str:
        """How the call has ended or is to end, as far as that is known; else its state."""
        outcome = self._call.outcome or (self.known.result() if self.known.done() else None)
        return self._call.state.value if outcome is None else f"{outcome.kind.value}: {outcome.reason}"

    # ── the provider ────────────────────────────────────────────────────────────────────────────
    def provider_lost(self, reason: str) -> None:
        """The realtime session went away under the call."""
        call = self._call
        if call.closing or call.leg_gone:
            return
        if call.recovery is None:
            call.journal.write("provider.lost", reason=reason)
        outcome = CallOutcome(OutcomeClass.PROVIDER, "provider_lost", reason)
        self.hush()
        if call.transfers.active:
            self._provider_lost = outcome  # a transfer needs no provider: its end decides
        else:
            self.finish(outcome)

    def provider_failed(self, outcome: CallOutcome, *, final: bool = True) -> None:
        """A session did not speak: another one or, if that is ``final``, another provider, or the end."""
        recovery = self._call.recovery
        if not final:
            self.recover(outcome.reason)
        elif recovery is None or not recovery.go_elsewhere(outcome.reason):
            self.finish(outcome)

    def recover(self, reason: str) -> None:
        """Give the link up, for a code of the fault table, and go on with another."""
        if self._call.recovery is not None:
            self._call.recovery.lost(reason)
        else:
            self.provider_lost(reason)

    def transferred(self, target: str, result: TransferResult) -> None:
        """A transfer has ended; with the caller gone elsewhere, so has the call."""
        if result.accepted:
            self.finish(CallOutcome(OutcomeClass.SUCCESS, "transferred", target, result.status))
        elif self._provider_lost is not None:
            self.finish(self._provider_lost)
