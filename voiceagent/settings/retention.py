"""How long things are kept."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from voiceagent.settings.base import Section

Days = Annotated[int, Field(ge=0, le=36_500)]


class RetentionSettings(Section):
    """Days that each kind is kept; 0: for ever. What happens at the end of each: see records.md."""

    recordings_days: Days = Field(default=30, description="Recordings: then the audio is removed. 0: never.")
    transcripts_days: Days = Field(
        default=90,
        description="Words: transcripts, responses, and all of a journal but begin and end of the call. "
        "0: never.",
    )
    journals_days: Days = Field(default=0, description="Journals: then the file is removed. 0: never.")
    calls_days: Days = Field(
        default=0, description="All that is left of a call, its line in the history included. 0: never."
    )
    audit_days: Days = Field(default=0, description="Lines of the audit log, the oldest first. 0: never.")
