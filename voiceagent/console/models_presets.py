"""Bodies of presets."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from voiceagent.console.models import INSTRUCTIONS_CHARS
from voiceagent.console.models_history import WITHOUT_NUL


class PresetBody(BaseModel):
    """A trigger that operators keep at hand."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {
                    "name": "Technician is on the way",
                    "instructions": "Tell the caller that the technician is on the way.",
                    "when": "idle",
                }
            ]
        },
    )

    name: Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f]*$")] = Field(
        description="Unique; shown on its button."
    )
    instructions: Annotated[str, Field(min_length=1, max_length=INSTRUCTIONS_CHARS, pattern=WITHOUT_NUL)]
    metadata: dict[str, str] = Field(
        default_factory=dict[str, str], description="As in a trigger: up to 13 pairs."
    )
    when: Literal["idle", "after_playback", "now"] = "idle"
    note_only: bool = Field(default=False, description="Add it to the conversation, and say nothing.")


class PresetModel(BaseModel):
    """A preset."""

    id: str
    name: str
    instructions: str
    metadata: dict[str, str]
    when: str
    note_only: bool
    changed_at: float = Field(description="Unix time.")
    changed_by: str


class PresetList(BaseModel):
    """Every preset by name."""

    presets: list[PresetModel]
