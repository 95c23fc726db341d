"""Settings of outgoing webhooks: ``[[webhooks]]``. A mistake is one line naming ``webhooks.NAME.field``."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator

from voiceagent.errors import ConfigError
from voiceagent.notify.endpoint import Endpoint, url_refusal
from voiceagent.notify.message import EVENTS
from voiceagent.notify.schedule import WAITS_S
from voiceagent.realtime.webhook_signature import PREFIX, webhook_key
from voiceagent.settings.base import Section
from voiceagent.settings.tables import read_tables, two_of_a_name

MOST_WEBHOOKS = 50
_is_name = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}").fullmatch
Wait = Annotated[float, Field(ge=0, le=604_800)]
EventName = Literal[
    "call.started", "call.found_again", "call.ended", "response.finished", "alert.raised", "alert.cleared"
]


class WebhookSettings(Section):
    """Somebody who is told what happens, by signed webhooks."""

    name: str = Field(description="What the console calls it. Under another name it is another endpoint.")
    url: str = Field(description="Where to: https://, or http:// to 127.0.0.1, [::1] or localhost.")
    secret: SecretStr | None = Field(
        default=None, description="Secret that signs: whsec_ and at least 16 bytes in base64."
    )
    secret_env: str | None = Field(default=None, description="An environment variable with it instead.")
    old_secret: SecretStr | None = Field(
        default=None, description="While rotating: signs as well, until the receiver knows the new one."
    )
    events: tuple[EventName, ...] = Field(default=EVENTS, description="What it is told; default: all.")
    waits_s: Annotated[tuple[Wait, ...], Field(max_length=20)] = Field(
        default=WAITS_S, description="Waits between the attempts; after the last one it is a dead letter."
    )
    timeout_s: Annotated[float, Field(gt=0, le=30)] = Field(
        default=5.0, description="Longest wait for an answer."
    )

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        if _is_name(value) is None:
            raise ValueError("must be 1 to 64 of A-Z, a-z, 0-9, '.', '_', '-'")
        return value

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        reason = url_refusal(value)
        if reason is not None:
            raise ValueError(reason)
        return value


def read_webhooks(value: Any) -> tuple[WebhookSettings, ...]:
    """Read all of them. Raises ConfigError naming ``webhooks.NAME.field``; no secret is ever shown."""
    found = read_tables(
        value,
        "webhooks",
        WebhookSettings,
        most=MOST_WEBHOOKS,
        is_name=_is_name,
        # The path of a URL may be a secret, too.
        shows=lambda kind, field: field not in ("secret", "old_secret", "url"),
    )
    two_of_a_name("webhooks", [one.name for one in found])
    for one in found:
        if (one.secret is None) == (one.secret_env is None):
            raise ConfigError(f"webhooks.{one.name}.secret", "is needed: this, or secret_env instead")
    return found


def webhook_endpoints(webhooks: Sequence[WebhookSettings]) -> tuple[Endpoint, ...]:
    """Return the endpoints with their secrets. Raises ConfigError naming the setting."""
    return tuple(
        Endpoint(one.name, one.url, _secrets(one), one.events, one.waits_s, one.timeout_s) for one in webhooks
    )


def _secrets(one: WebhookSettings) -> tuple[str, ...]:
    label, found = f"webhooks.{one.name}", list[tuple[str, str]]()
    if one.secret_env is not None:
        told = os.environ.get(one.secret_env)
        if not told:
            raise ConfigError(f"{label}.secret_env", f"{one.secret_env} is not set in the environment")
        found.append(("secret_env", told))
    elif one.secret is not None:
        found.append(("secret", one.secret.get_secret_value()))
    if one.old_secret is not None:
        found.append(("old_secret", one.old_secret.get_secret_value()))
    for field, secret in found:
        webhook_key(secret, f"{label}.{field}")
    return tuple(PREFIX + secret.strip().removeprefix(PREFIX) for _, secret in found)
