"""Runs the functions that the model calls; every call gets an output, whatever happens.

What the model may not have is refused with a typed error that it can speak about, written down, and never
executed. One tool call runs once, however often the provider names it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import BaseModel

from voiceagent.call.flow_failure import Mask, failure_of
from voiceagent.call.outside import Outside, directly
from voiceagent.ivr.arguments import ArgumentsRefused, only_names
from voiceagent.ivr.caller_text import CallerText
from voiceagent.ivr.ports import Tool, ToolContext
from voiceagent.ivr.tool_run import ToolRun

AUDITED_CHARS = 500
"""So much of refused arguments is written down."""
NAME_CHARS = 64
AT_ONCE = 8
"""So many tools may be at work for one call; a model that wants more at once is refused."""
KNOWN_CALLS = 4096
"""So many tool calls one call may have: all are remembered, lest one is run twice, and more are refused."""
PER_RESPONSE = 32
"""… and so many one response of the model's."""
ID_CHARS = 256
"""The longest id of a tool call."""
OUTPUT_CHARS = 32_768
"""The longest output that is given to the model."""

Write = Callable[..., None]
"""Writes an entry of the journal: its type, and fields."""


@dataclass(frozen=True, slots=True)
class Toolset:
    """What the model may call while one response is made, and in which step of the flow."""

    tools: Sequence[Tool] = ()
    step: str = ""
    ran: Callable[[ToolRun], None] | None = None
    """Told of each tool call: when it begins, and how it has ended."""

    @property
    def allowed(self) -> list[Tool]:
        """The tools that the model is told of."""
        return [tool for tool in self.tools if tool.allowed_in(self.step)]

    def limit_s(self, name: str) -> float:
        """Return how long a tool may take; 0 for one that is not here."""
        return next((tool.timeout_s for tool in self.tools if tool.name == name), 0.0)

    def silent(self, name: str) -> bool:
        """Return whether nothing is to be said about this tool's result."""
        return any(tool.silent for tool in self.tools if tool.name == name)

    def tell(self, run: ToolRun) -> None:
        """Tell whoever has given these tools what became of a call of one."""
        if self.ran is not None:
            self.ran(run)


NO_TOOLS = Toolset()


class _Refused(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ToolRuns:
    """The tool calls of one call."""

    def __init__(
        self,
        call_id: str,
        *,
        outside: Outside = directly,
        write: Write | None = None,
        working: Callable[[str, float], AbstractAsyncContextManager[None]] | None = None,
        mask: Mask = str,
    ) -> None:
        """``mask`` hides in what is written what was typed in secret."""
        self._call_id = call_id
        self._outside = outside
        self._write: Write = write or (lambda *_, **__: None)
        self._working = working or _unbridged
        self._mask = mask
        self._names: set[str] = set()
        """Tools that a line of this call had: another line's tool is not unknown, but not allowed."""
        self._known: set[str] = set()
        self._of_response: dict[str, int] = {}
        self._running = 0

    def given(self, toolset: Toolset) -> None:
        """A line has these tools."""
        self._names.update(tool.name for tool in toolset.tools)

    def first_time(self, tool_call_id: str, name: str) -> bool:
        """Return whether this tool call is new; it is known from now on."""
        if tool_call_id in self._known:
            self._write("tool.repeated", tool=name[:NAME_CHARS], tool_call_id=tool_call_id)
            return False
        if len(self._known) <= KNOWN_CALLS and len(tool_call_id) <= ID_CHARS:
            self._known.add(tool_call_id)
        return True

    def too_many(self, response_id: str, tool_call_id: str) -> bool:
        """Count a new tool call of a response; return whether it is one too many, or can be no call."""
        count = self._of_response[response_id] = self._of_response.get(response_id, 0) + 1
        return count > PER_RESPONSE or len(self._known) > KNOWN_CALLS or len(tool_call_id) > ID_CHARS

    def refused(
        self, toolset: Toolset, name: str, arguments: str, tool_call_id: str, code: str, message: str
    ) -> str:
        """Write down that a tool call is refused, tell of it, and return the output for the model."""
        name, tool_call_id = name[:NAME_CHARS], tool_call_id[:ID_CHARS]
        about = {"code": code, "tool": name, "arguments": arguments[:AUDITED_CHARS]}
        self._write("tool.refused", **about, message=message, tool_call_id=tool_call_id)
        offered = any(one.name == name for one in toolset.tools)
        called = name if offered else CallerText(name)  # whatever the model has made up
        toolset.tell(ToolRun(called, "refused", code=code, tool_call_id=tool_call_id))
        return _error(code, message)

    def stuck(self, name: str, tool_call_id: str) -> str:
        """Write down that a tool does not end, and return the output for the model."""
        self._write("tool.failed", tool=name, tool_call_id=tool_call_id, code="timeout", stuck=True)
        return _error("timeout", "the tool took too long")

    async def run(self, toolset: Toolset, name: str, arguments: str, tool_call_id: str) -> tuple[str, bool]:
        """Run the tool ``name`` with its JSON ``arguments``; return the output text and whether it went well.

        What cannot be run or fails becomes ``{"error": {"code": …, "message": …}}``; the code is
        ``unknown_tool``, ``tool_not_allowed``, ``invalid_arguments``, ``too_many``, ``timeout`` or
        ``failed``. No detail of an exception is given to the model.
        """
        try:
            tool, given = self._admitted(toolset, name, arguments, tool_call_id)
        except _Refused as refused:
            return self.refused(toolset, name, arguments, tool_call_id, refused.code, str(refused)), False
        self._running += 1
        run = ToolRun(tool.name, "running", tool_call_id=tool_call_id)
        toolset.tell(run)
        limit = asyncio.timeout(tool.timeout_s)
        try:
            async with self._working(tool.working, tool.working_after_s), limit:
                key = f"tool:{tool.name}:{tool_call_id}"
                result = await self._outside(key, lambda: tool.function(**given))
            output = output_text(result)
            toolset.tell(replace(run, status="ok", result=output))
            return output, True
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return self._failed(toolset, run, error, late=False)  # from a task of the tool's own
        except (Exception, SystemExit) as error:
            return self._failed(toolset, run, error, late=limit.expired())
        finally:
            self._running -= 1

    def _failed(
        self, toolset: Toolset, run: ToolRun, error: BaseException, *, late: bool
    ) -> tuple[str, bool]:
        code = "timeout" if late else "failed"
        failure = {} if late else {k: v for k, v in asdict(failure_of(error, self._mask)).items() if v != ()}
        self._write("tool.failed", tool=run.name, tool_call_id=run.tool_call_id, code=code, **failure)
        toolset.tell(replace(run, status="failed", code=code))
        told = ("timeout", "the tool took too long") if late else ("failed", "the tool failed")
        return _error(*told), False

    def _admitted(
        self, toolset: Toolset, name: str, arguments: str, tool_call_id: str
    ) -> tuple[Tool, dict[str, Any]]:
        tool = next((one for one in toolset.tools if one.name == name), None)
        if tool is None and name not in self._names:
            raise _Refused("unknown_tool", "there is no such tool")
        if tool is None or not tool.allowed_in(toolset.step):
            raise _Refused("tool_not_allowed", "this tool may not be used now")
        if self._running >= AT_ONCE:
            raise _Refused("too_many", "too many tools are at work already")
        try:
            given = dict((tool.read or only_names(tool.parameters))(arguments))
        except ArgumentsRefused as refused:
            raise _Refused("invalid_arguments", str(refused)) from None
        if tool.takes_call:
            given[tool.takes_call] = tool.call
        if tool.takes_context:
            given[tool.takes_context] = ToolContext(self._call_id, tool_call_id, toolset.step)
        return tool, given


def output_text(result: object) -> str:
    """Return a tool's result as the text that goes into ``function_call_output``."""
    if isinstance(result, str):
        text = str.__str__(result)
    elif isinstance(result, BaseModel):
        text = result.model_dump_json()
    else:
        text = json.dumps(result, ensure_ascii=False, default=str)
    return text if len(text) <= OUTPUT_CHARS else text[: OUTPUT_CHARS - 1] + "…"


def cancelled() -> str:
    """Return the output of a tool that was stopped with its call."""
    return _error("failed", "the tool was stopped")


def _unbridged(text: str, after_s: float) -> AbstractAsyncContextManager[None]:
    return nullcontext()


def _error(code: str, message: str) -> str:
    return json.dumps({"error": {"code": code, "message": message}}, ensure_ascii=False)
