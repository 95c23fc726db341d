"""What every section of the settings shares."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Port = Annotated[int, Field(ge=0, le=65535)]


class Section(BaseModel):
    """A frozen group of settings; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def codec_name(value: object) -> object:
    """Return the name of a codec as we write it; names are the same in any case (RFC 4855 §2.2)."""
    known = {"pcmu": "PCMU", "pcma": "PCMA", "g722": "G722", "opus": "opus"}
    return known.get(value.lower(), value) if isinstance(value, str) else value


CodecName = Annotated[Literal["PCMU", "PCMA", "G722", "opus"], BeforeValidator(codec_name)]


def plain_word(value: str) -> str:
    """Return ``value`` if it can stand in a URI and within quotes as it is. Raises ValueError."""
    if any(char in value for char in '\r\n\0"<>@ '):
        raise ValueError("may hold no space, quote, bracket or @")
    return value


def ip_address(value: str | None) -> str | None:
    """Return ``value`` if it is an IP address (or None). Raises ValueError."""
    if value is not None:
        ipaddress.ip_address(value)
    return value


def websocket_url(value: str | None) -> str | None:
    """Return ``value`` if it is the URL of a WebSocket (or None). Raises ValueError."""
    if value is not None and not value.startswith(("ws://", "wss://")):
        raise ValueError("must begin with ws:// or wss://")
    return value
