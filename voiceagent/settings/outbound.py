"""Settings of the calls that we place."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from voiceagent.call.targets import TargetRules
from voiceagent.settings.base import Section, plain_word


class OutboundSettings(Section):
    """Calls that we place."""

    allowed: tuple[str, ...] = Field(
        default=(),
        description="Who may be called: numbers (+4420*, 100), URIs (sip:*@host), *. Empty: nobody.",
    )
    denied: tuple[str, ...] = Field(
        default=(), description="Who may not, whatever outbound.allowed says; besides the built-in list."
    )
    deny_built_in: bool = Field(
        default=True, description="Deny satellite, premium and emergency numbers (call/target_ranges.py)."
    )
    from_user: str = Field(default="voiceagent", description="Who we are where a request does not say.")
    ring_timeout_s: Annotated[float, Field(gt=0, le=290)] = Field(
        default=45.0, description="How long a call may ring; then CANCEL, and the outcome no_answer."
    )
    max_calls: Annotated[int, Field(ge=0)] = Field(
        default=10, description="Placed calls at once; they count as calls of call.max_calls, too."
    )
    calls_per_destination: Annotated[int, Field(ge=0)] = Field(
        default=1, description="Placed calls to one destination at once."
    )
    calls_per_destination_hour: Annotated[int, Field(ge=0)] = Field(
        default=6, description="Calls to one destination within an hour, answered or not."
    )
    require_reference: bool = Field(
        default=False, description="Refuse calls without a consent_reference (it stands in the journal)."
    )

    @field_validator("allowed", "denied")
    @classmethod
    def _patterns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        TargetRules(value)
        return value

    @field_validator("from_user")
    @classmethod
    def _user(cls, value: str) -> str:
        if not value:
            raise ValueError("cannot be empty")
        return plain_word(value)
