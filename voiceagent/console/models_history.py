"""Bodies of the history and of tags; and the filters, which are a query string."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from voiceagent.console.models import Line, ResponseModel
from voiceagent.store.history import CallQuery

WITHOUT_NUL = r"^[^\x00]*$"
"""PostgreSQL keeps no NUL in its texts."""
_Text = Annotated[str, Field(max_length=128, pattern=WITHOUT_NUL)]
_Number = Annotated[float, Field(allow_inf_nan=False)]


class Filters(BaseModel):
    """Which calls; all that is given must hold. An unknown filter is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")

    q: Annotated[str, Field(max_length=256, pattern=WITHOUT_NUL)] = Field(
        default="", description="Words that were said, or stand in a tag, number or flow; beginnings do."
    )
    number: _Text = Field(default="", description="A part of the caller's or the called number.")
    direction: Literal["", "inbound", "outbound"] = ""
    flow: _Text = ""
    trunk: _Text = ""
    outcome: _Text = Field(default="", description="Kind of the ending, e.g. `caller` or `provider`.")
    tag: _Text = ""
    since: _Number | None = Field(default=None, description="Begun at or after this Unix time.")
    until: _Number | None = Field(default=None, description="Begun before this Unix time.")
    min_duration_s: _Number | None = None
    recorded: bool | None = Field(default=None, description="With a recording, or without.")
    order: Literal["newest", "oldest", "longest"] = "newest"

    def query(self, *, limit: int, after: str = "") -> CallQuery:
        """Return the store's query for one page."""
        filters = {name: getattr(self, name) for name in Filters.model_fields if name != "q"}
        return CallQuery(words=self.q, limit=limit, after=after, **filters)


class PageFilters(Filters):
    """Which calls, and which page of them."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    after: _Text = Field(default="", description="`next` of the page before.")


class ExportFilters(Filters):
    """Which calls, and how they are written."""

    format: Literal["csv", "json"] = Field(
        default="csv", description="`csv` for spreadsheets; `json`: one object with the list `calls`."
    )


class KeptCall(BaseModel):
    """A call that has ended. Times are Unix seconds."""

    id: str
    node: str
    direction: str
    kind: str
    caller: str
    called: str
    flow: str
    trunk: str
    provider: str
    started_at: float
    answered_at: float | None
    ended_at: float | None
    duration_s: float
    outcome: str = Field(description="Kind of its ending.")
    reason: str
    fault: str
    barge_ins: int
    first_words_ms: float | None
    journal: str = Field(description="Name of its journal; empty without one.")
    recording: str = Field(description="Name of its first recording; empty without one.")
    figures: dict[str, Any]
    tags: list[str]
    links: dict[str, str] = Field(description="self; recording and journal where there are such.")


class HistoryPage(BaseModel):
    """Some ended calls. ``next`` goes into ``after`` for the following page; empty on the last."""

    calls: list[KeptCall]
    next: str


class KeptRecording(BaseModel):
    """A recording of an ended call, as it is now."""

    file: str = Field(description="Its name for ever: what `?file=` takes.")
    name: str
    started_at: float
    seconds: float
    bytes: int
    sha256: str = Field(description="Of the file or object as it is now; empty where there is none.")
    format: Literal["wav", "opus"]
    state: Literal["live", "failed", "finished", "encoded", "stored", "erased"]
    dropped_s: float = Field(description="Seconds that the disk was too slow for: silence stands there.")
    error: str


class KeptCallDetail(KeptCall):
    """An ended call with all that was said and asked, in the shape of a live one."""

    recordings: list[str] = Field(description="Names of all recordings, for `?file=` of the recording.")
    recordings_at: list[float] = Field(
        description="When each of them begins, in seconds since the call began: as the times of its lines."
    )
    recording_files: list[KeptRecording] = Field(
        description="What is known of each recording now, the first one first."
    )
    transcript: list[Line]
    responses: list[ResponseModel]


class TagBody(BaseModel):
    """A word to be put on a call."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        str_strip_whitespace=True,
        json_schema_extra={"examples": [{"tag": "refund"}]},
    )

    tag: Annotated[str, Field(pattern=r"^\w[\w .:+-]{0,63}$")] = Field(
        description="1 to 64 letters, digits, spaces and `_ . : + -`, beginning with a letter or digit."
    )


class TagList(BaseModel):
    """A call's tags, the oldest first."""

    tags: list[str]
