"""Errors say whose fault they are.

VoiceAgentError
├── ConfigError        the setting named in ``setting`` is wrong
├── RequestRefused     a wish for speech broke a limit; nothing was queued
├── CallEnded          the call is over; carries its outcome
├── FetchFailed        a function that a flow fetches from raised, or took too long
├── ProviderError      the realtime provider refused, failed or went away
├── SipError           the caller's side broke the protocol
└── MediaError         no port, no common codec, or dead media
"""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    """Whose side caused an ending or an error."""

    OURS = "ours"
    CALLER = "caller"
    PROVIDER = "provider"
    OPERATOR = "operator"
    UNKNOWN = "unknown"


class VoiceAgentError(Exception):
    """Base of all errors raised on purpose. ``code`` is stable and meant for programs."""

    fault: Fault = Fault.OURS
    code: str = "internal"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class ConfigError(VoiceAgentError):
    """A setting is missing or wrong. ``setting`` is its dotted name."""

    fault = Fault.OPERATOR
    code = "config"

    def __init__(self, setting: str, message: str) -> None:
        super().__init__(f"{setting}: {message}")
        self.setting = setting


class RequestRefused(VoiceAgentError, ValueError):
    """A response request was refused at the call site; ``field`` names the part at fault."""

    fault = Fault.OPERATOR
    code = "invalid_request"

    def __init__(self, field: str, message: str, *, code: str | None = None) -> None:
        super().__init__(f"{field}: {message}", code=code)
        self.field = field


class CallEnded(VoiceAgentError):
    """The call is over, so the wish cannot be fulfilled."""

    code = "call_ended"

    def __init__(self, message: str = "the call has ended", *, outcome: str = "unknown") -> None:
        super().__init__(message)
        self.outcome = outcome


class FetchFailed(VoiceAgentError):
    """A function that a flow fetches from has raised; ``name`` is the function, the cause is chained.

    The fault is the operator's: the function is of whoever wrote the flow.
    """

    fault = Fault.OPERATOR
    code = "fetch_failed"

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name


class FetchTimedOut(FetchFailed, TimeoutError):
    """… or it took too long."""

    code = "fetch_timeout"


class ProviderError(VoiceAgentError):
    """The realtime provider refused the connection, failed, or went away."""

    fault = Fault.PROVIDER
    code = "provider"


class SipError(VoiceAgentError):
    """The peer's SIP could not be understood or accepted. ``status`` is the reply that fits."""

    fault = Fault.CALLER
    code = "sip"

    def __init__(self, message: str, *, status: int = 400, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.status = status


class MediaError(VoiceAgentError):
    """No port, no common codec, or dead media."""

    code = "media"
