"""PURE. What this endpoint can do, told in OPTIONS and in refusals (RFC 3261 §11)."""

from __future__ import annotations

from voiceagent.sip.endpoint_core import Core, HeaderLines
from voiceagent.sip.transaction import ServerTransaction


def capabilities(core: Core, trunk: str = "") -> HeaderLines:
    """Return Allow (for a peer of ``trunk``), Accept, Accept-Encoding, Accept-Language and Supported."""
    config = core.config
    return (
        ("Allow", core.allow(trunk)),
        ("Accept", ", ".join(config.body_types)),
        ("Accept-Encoding", "identity"),
        ("Accept-Language", "en"),
        ("Supported", core.supported_text),
    )


def answer_options(
    core: Core, transaction: ServerTransaction, trunk: str = "", *, tag: str | None = None
) -> None:
    """Answer OPTIONS as an INVITE would be: 503 when no further call would be taken, else 200 (§11.2)."""
    if tag is None:
        full = len(core.legs) >= core.config.max_legs
        again_s = 5 + core.dice(11) if full else core.config.unavailable()
        if again_s is not None:
            core.respond(transaction, 503, headers=(("Retry-After", str(again_s)),))
            return
    headers = (("Contact", core.contact(transaction.source)), *capabilities(core, trunk))
    core.respond(transaction, 200, headers=headers, tag=tag)
