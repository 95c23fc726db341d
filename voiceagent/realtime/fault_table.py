"""PURE. What to do about every error code of a provider: one table, read by sequencer and call alike.

Codes are those of ``error.code``, of ``response.done``'s ``status_details.error.code`` and of the HTTP APIs
(OpenAI Realtime GA; Azure and xAI use the same words), and those we give to faults we detect ourselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Remedy(StrEnum):
    """What an error code calls for."""

    RETRY = "retry"
    """Ask again, once; a second failure in a row is the session's fault, and the session is replaced."""
    HEDGE = "hedge"
    """This session is sick or over: replace it by a new one now."""
    SPEAK = "speak"
    """It will pass, but not at once: tell the caller to wait, then ask again."""
    TRANSFER = "transfer"
    """Asking again ends the same way: no retry; a second one in a row is for a person (fallback chain)."""
    FATAL = "fatal"
    """This account or call is done for at this provider: no retry, no new session there."""
    IGNORE = "ignore"
    """Nothing is broken: what the error names is refused, everything else goes on."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One row: a code, its remedy, and what it means."""

    code: str
    remedy: Remedy
    meaning: str


_ROWS = (
    # ── passing ─────────────────────────────────────────────────────────────────────────────────
    Fault("server_error", Remedy.RETRY, "the provider failed"),
    Fault("internal_error", Remedy.RETRY, "the provider failed"),
    Fault("overloaded", Remedy.RETRY, "the provider is busy"),
    Fault("service_unavailable", Remedy.RETRY, "the provider is busy"),
    Fault("timeout", Remedy.RETRY, "the provider gave up on itself"),
    Fault(
        "conversation_already_has_active_response",
        Remedy.RETRY,
        "another response runs; the sequencer asks again after its end",
    ),
    Fault("rate_limit_exceeded", Remedy.SPEAK, "too many requests or tokens in this minute (429)"),
    Fault("inference_rate_limit_exceeded", Remedy.SPEAK, "the model's own rate limit"),
    # ── the session ─────────────────────────────────────────────────────────────────────────────
    Fault("session_expired", Remedy.HEDGE, "the session has reached its greatest age"),
    Fault("frozen", Remedy.HEDGE, "detected: no event of an awaited response for too long"),
    Fault("slow", Remedy.HEDGE, "detected: a response was not audible for too long"),
    Fault("stalled", Remedy.HEDGE, "detected: the voice ran dry in the middle of a response"),
    Fault("silent_audio", Remedy.HEDGE, "detected: audio arrives and is silence"),
    # ── the request ─────────────────────────────────────────────────────────────────────────────
    Fault("content_filter", Remedy.TRANSFER, "the provider will not speak about this"),
    Fault("content_policy_violation", Remedy.TRANSFER, "the provider will not speak about this"),
    Fault("invalid_prompt", Remedy.TRANSFER, "the provider refuses the instructions"),
    # ── the account, the call ───────────────────────────────────────────────────────────────────
    Fault("insufficient_quota", Remedy.FATAL, "the account is used up"),
    Fault("billing_hard_limit_reached", Remedy.FATAL, "the account is used up"),
    Fault("account_deactivated", Remedy.FATAL, "the account is closed"),
    Fault("invalid_api_key", Remedy.FATAL, "the key is wrong"),
    Fault("model_not_found", Remedy.FATAL, "there is no such model for this account"),
    Fault("call_id_not_found", Remedy.FATAL, "the hosted call is over (HTTP 404)"),
    # ── harmless ────────────────────────────────────────────────────────────────────────────────
    Fault("response_cancel_not_active", Remedy.IGNORE, "nothing to cancel: it had ended already"),
    Fault("input_audio_buffer_commit_empty", Remedy.IGNORE, "less than 100 ms of audio to commit"),
    Fault("item_retrieve_invalid_item_id", Remedy.IGNORE, "no such item"),
    Fault("invalid_value", Remedy.IGNORE, "one frame is refused; a request that it names ends rejected"),
    Fault("unknown_parameter", Remedy.IGNORE, "one field is refused; it is left out and sent again"),
    Fault("invalid_event", Remedy.IGNORE, "one frame is refused"),
    Fault("playback_end_missing", Remedy.IGNORE, "detected: audio came that the line never played"),
)

FAULTS: Mapping[str, Fault] = {row.code: row for row in _ROWS}
"""Every known code."""


def remedy_of(code: str | None) -> Remedy:
    """Return what ``code`` calls for; unknown ones (and none at all) get their one retry."""
    fault = FAULTS.get(code or "")
    return Remedy.RETRY if fault is None else fault.remedy


_SAID_AGAIN = frozenset({Remedy.RETRY, Remedy.SPEAK, Remedy.HEDGE})


def worth_asking_again(code: str | None) -> bool:
    """Return whether a response that failed with ``code``, unheard, is worth another try."""
    return remedy_of(code) in _SAID_AGAIN
