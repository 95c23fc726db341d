"""Bodies of ``/v1/erasures``."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from voiceagent.console.models_history import WITHOUT_NUL


class ErasureBody(BaseModel):
    """Whose calls."""

    model_config = ConfigDict(extra="forbid", strict=True, str_strip_whitespace=True)

    caller: Annotated[str, Field(min_length=1, max_length=128, pattern=WITHOUT_NUL)] = Field(
        description="The number of the person, who called us or whom we called: `+442079460958`.",
    )
    dry_run: bool = Field(default=False, description="Only say what would be erased.")


class ErasureReport(BaseModel):
    """What was erased, or would be. `sha256` is over all the rest but `audit_line`, as canonical JSON."""

    at: float
    number: str = Field(description="Its last two characters only.")
    dry_run: bool
    calls: list[dict[str, Any]] = Field(
        description="For each call: `call_id`, `journal_sha256` and `journal_bytes` of what stood there, "
        "`recordings` (sha256, bytes, at), `node` where the journal lies on another one, `failed`."
    )
    rows: dict[str, int] = Field(description="Lines of the database, by table.")
    audit: dict[str, Any] = Field(
        description="Lines of the audit log whose details are gone, and its last hash before and after."
    )
    mentioned_in: list[str] = Field(description="Calls of others that name the number; left as they are.")
    nodes: list[dict[str, Any]] = Field(
        description="For each other node of the fleet: `node`, `result` (`done`, `incomplete`, or why it was "
        "not done: `node_gone`, `call_live` …), `why`, `calls`, `journals`, `recordings`, `mentioned_in`, "
        "and `audit_line` and `sha256` of its own report."
    )
    events: int | None = Field(
        description="Events of the fleet that were removed; null while its registry was away."
    )
    complete: bool = Field(description="Nothing failed, every node was reached, and none has to be asked.")
    sha256: str
    audit_line: int | None = Field(description="Number of the line of the audit log that holds this report.")
