"""Body of a note."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from voiceagent.console.models import INSTRUCTIONS_CHARS


class NoteBody(BaseModel):
    """What the agent is to know."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"text": "The caller's parcel is at the depot."}]},
    )

    text: Annotated[str, Field(min_length=1, max_length=INSTRUCTIONS_CHARS)]
