"""Token counts of responses and transcriptions, estimated by the vendor's published rates. PURE.

Audio: one token per 100 ms of the caller, one per 50 ms of the agent. Text: about four characters a token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

INPUT_MS_PER_TOKEN = 100
OUTPUT_MS_PER_TOKEN = 50
CHARACTERS_PER_TOKEN = 4


REQUEST_LIMIT = 10_000
TOKEN_LIMIT = 10_000_000


class RateMeter:
    """Counts responses and tokens of one session against generous limits, which nothing enforces."""

    def __init__(self) -> None:
        self._requests = 0
        self._tokens = 0

    def count(self, usage: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Take the usage of one more response; return the ``rate_limits`` of the event."""
        self._requests += 1
        self._tokens += usage["total_tokens"]
        used = (("requests", REQUEST_LIMIT, self._requests), ("tokens", TOKEN_LIMIT, self._tokens))
        return [
            {"name": name, "limit": limit, "remaining": max(limit - count, 0), "reset_seconds": 0.0}
            for name, limit, count in used
        ]


def text_tokens(text: str) -> int:
    """Estimate the tokens of a text; never 0 for a text that is there."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def response_usage(*, text_in: int, audio_in: int, text_out: int, audio_out: int) -> dict[str, Any]:
    """Return the ``usage`` object of ``response.done``."""
    return {
        "total_tokens": text_in + audio_in + text_out + audio_out,
        "input_tokens": text_in + audio_in,
        "output_tokens": text_out + audio_out,
        "input_token_details": {
            "text_tokens": text_in,
            "audio_tokens": audio_in,
            "image_tokens": 0,
            "cached_tokens": 0,
            "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0},
        },
        "output_token_details": {"text_tokens": text_out, "audio_tokens": audio_out},
    }
