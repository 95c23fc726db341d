"""What became of a tool that the model called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class ToolRun:
    """One call of a tool by the model.

    ``status``: ``ok``, ``refused`` (never run), ``failed`` (the function raised, or took too long), or
    ``running`` (at work still when the flow looked; what becomes of it is in the journal only).
    """

    name: str
    """As the model named it; of a tool that the flow has not offered, a :class:`CallerText`."""
    status: Literal["ok", "refused", "failed", "running"]
    result: str = ""
    """``ok``: the text that the model was given, which is JSON unless the function has returned a text."""
    code: str = ""
    """``refused`` and ``failed``: the code of the error that the model was given."""
    tool_call_id: str = ""
    """The provider's name of this one call of the tool."""

    @property
    def ok(self) -> bool:
        """True when the function has returned in time."""
        return self.status == "ok"
