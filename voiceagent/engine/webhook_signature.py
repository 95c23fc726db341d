"""Signatures of webhooks as Standard Webhooks has them: HMAC-SHA256 over ``id.timestamp.body``. PURE."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

SECRET_PREFIX = "whsec_"
LEAST_KEY = 16
"""Bytes; a shorter key is refused."""


def webhook_key(secret: str) -> bytes:
    """Return the key in a ``whsec_…`` secret. Raises ValueError for anything else."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(SECRET_PREFIX) or len(key) < LEAST_KEY:
        raise ValueError(f"a webhook secret is {SECRET_PREFIX} and at least {LEAST_KEY} bytes in base64")
    return key


def webhook_secret(key: bytes) -> str:
    """Return the ``whsec_…`` form of a key."""
    return SECRET_PREFIX + base64.b64encode(key).decode("ascii")


def signed_headers(key: bytes, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the three headers of one attempt; ``timestamp`` is its own, in Unix seconds."""
    told = f"{message_id}.{timestamp}.".encode() + body
    digest = base64.b64encode(hmac.new(key, told, hashlib.sha256).digest()).decode("ascii")
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{digest}",
    }
