"""What every section of the settings shares."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Port = Annotated[int, Field(ge=0, le=65535)]


class Section(BaseModel):
    """A frozen group of settings; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def ip_address(value: str | None) -> str | None:
    """Return ``value`` if it is an IP address (or None). Raises ValueError."""
    if value is not None:
        ipaddress.ip_address(value)
    return value
