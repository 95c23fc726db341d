"""PURE. Who may offer us a call: Standard Webhooks signatures over the raw body.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md: three headers,
``webhook-id``, ``webhook-timestamp`` (Unix seconds) and ``webhook-signature`` (a list of ``v1,<base64>``
divided by spaces); the signature is HMAC-SHA256 over ``id.timestamp.body`` with the bytes behind ``whsec_``.

The signature is compared as text: base64 has several spellings of the same bytes; only one of them is ours.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

from voiceagent.errors import ConfigError, Fault, VoiceAgentError

HEADER_ID = "webhook-id"
HEADER_TIMESTAMP = "webhook-timestamp"
HEADER_SIGNATURE = "webhook-signature"

TOLERANCE_S = 300.0
"""How far, either way, the time of an attempt may be from ours."""
PREFIX = "whsec_"
LEAST_KEY_BYTES = 16
_MAX_ID = 256
_MAX_SIGNATURE = 4096
_MAX_PARTS = 16
_DIGITS = frozenset("0123456789")
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")


class WebhookRefused(VoiceAgentError):
    """A webhook that is not taken. ``status`` 400: malformed; 401: not from the provider, or not in time."""

    fault = Fault.PROVIDER
    code = "webhook_refused"

    def __init__(self, message: str, *, status: int, code: str) -> None:
        super().__init__(message, code=code)
        self.status = status


class WebhookVerifier:
    """Knows the secrets: several, so that a new one can be brought in before the old one goes.

    Raises :class:`~voiceagent.errors.ConfigError` naming ``setting`` for an empty or unusable secret.
    """

    def __init__(
        self,
        secrets: Sequence[str],
        *,
        tolerance_s: float = TOLERANCE_S,
        setting: str = "hosted.webhook_secrets",
    ) -> None:
        if not secrets:
            raise ConfigError(setting, "at least one secret is needed")
        self._keys = [webhook_key(secret, setting) for secret in secrets]
        self._tolerance_s = tolerance_s

    def verify(self, webhook_id: str, timestamp: str, signature: str, body: bytes, now: float) -> None:
        """Return when ``body`` is the provider's. ``now`` is Unix time in seconds.

        Raises :class:`WebhookRefused`: 400 for a malformed header, 401 for a wrong signature or time.
        """
        if not webhook_id or len(webhook_id) > _MAX_ID or not _plain(webhook_id) or "." in webhook_id:
            # A full stop would make the boundary between id and timestamp ambiguous.
            raise _malformed(HEADER_ID)
        if not 0 < len(timestamp) <= 12 or not _DIGITS.issuperset(timestamp):
            raise _malformed(HEADER_TIMESTAMP)
        shown = _v1_signatures(signature)
        if abs(now - int(timestamp)) > self._tolerance_s:
            raise WebhookRefused(
                f"{HEADER_TIMESTAMP} is more than {self._tolerance_s:g} s away from our clock",
                status=401,
                code="webhook_timestamp",
            )
        signed = b"%b.%b.%b" % (webhook_id.encode("ascii"), timestamp.encode("ascii"), body)
        right = False
        for key in self._keys:
            ours = base64.b64encode(hmac.digest(key, signed, hashlib.sha256))
            for theirs in shown:
                # No early end: how long this takes tells nothing about the secret.
                right |= hmac.compare_digest(ours, theirs)
        if not right:
            raise WebhookRefused("the signature is not ours", status=401, code="webhook_signature")


def webhook_key(secret: str, setting: str = "hosted.webhook_secrets") -> bytes:
    """Return the key in ``whsec_<base64>`` (the prefix may be absent); ConfigError when there is none."""
    text = secret.strip().removeprefix(PREFIX)
    if not text:
        raise ConfigError(setting, "a secret is empty")
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(setting, "a secret is not whsec_ and base64") from None
    if len(key) < LEAST_KEY_BYTES:
        raise ConfigError(setting, f"a secret is shorter than {LEAST_KEY_BYTES} bytes")
    return key


def webhook_signature(secret: str, webhook_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of ``webhook-signature`` for a body: what a provider sends."""
    signed = b"%b.%d.%b" % (webhook_id.encode("ascii"), timestamp, body)
    digest = hmac.digest(webhook_key(secret), signed, hashlib.sha256)
    return "v1," + base64.b64encode(digest).decode("ascii")


def _v1_signatures(header: str) -> list[bytes]:
    if not header or len(header) > _MAX_SIGNATURE or not _plain(header, spaces=True):
        raise _malformed(HEADER_SIGNATURE)
    parts = header.split(" ")
    if len(parts) > _MAX_PARTS:
        raise _malformed(HEADER_SIGNATURE)
    found: list[bytes] = []
    for part in parts:
        version, comma, value = part.partition(",")
        if not version or not comma or not value:
            raise _malformed(HEADER_SIGNATURE)
        if version == "v1":
            if not _BASE64.issuperset(value):
                raise _malformed(HEADER_SIGNATURE)
            found.append(value.encode("ascii"))
    return found


def _plain(text: str, *, spaces: bool = False) -> bool:
    return text.isascii() and text.isprintable() and (spaces or " " not in text)


def _malformed(header: str) -> WebhookRefused:
    return WebhookRefused(f"{header} is missing or malformed", status=400, code="webhook_header")
