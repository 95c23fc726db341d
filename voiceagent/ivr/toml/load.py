"""From a TOML file to a :class:`~voiceagent.ivr.flow.Flow` that calls can run."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from voiceagent.errors import ConfigError
from voiceagent.ivr.check.allowed import Allowed
from voiceagent.ivr.check.findings import Finding, allowed_out
from voiceagent.ivr.check.toml_check import check_flow
from voiceagent.ivr.flow import Flow, FlowSource, flow
from voiceagent.ivr.modules import FlowModules
from voiceagent.ivr.ports import ToolFunction
from voiceagent.ivr.toml.endpoints import EndpointRules, ask_endpoint, prepare
from voiceagent.ivr.toml.functions import load_function
from voiceagent.ivr.toml.models import Work
from voiceagent.ivr.toml.read import FlowFileError, ParsedFlow, load_toml_flow
from voiceagent.ivr.toml.run import TomlRun
from voiceagent.ivr.verbs import Call

if TYPE_CHECKING:
    import httpx

JUDGEMENTS = ("endless-loop", "no-end", "missing-otherwise")
"""Mistakes that a flow can run with: a line may allow them (``# check: allow endless-loop``)."""


def toml_flow(path: Path, modules: FlowModules, endpoints: EndpointRules) -> Flow:
    """Read, check and load one file. Raises :class:`FlowFileError` for whatever would fail in a call.

    Warnings of the check do not count. What endpoints may be asked is looked at again with each request.
    """
    return flow_of(load_toml_flow(path), modules, endpoints)


def flow_of(
    parsed: ParsedFlow,
    modules: FlowModules,
    endpoints: EndpointRules,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Flow:
    """Return the flow of a file that was read; ``transport`` takes the place of the network.

    Functions of files beside it come from ``modules``.
    """
    allowed = Allowed(endpoints=endpoints)
    if endpoints.offline:  # a replay has heard the files already, a simulation names those that are missing
        allowed = Allowed(endpoints=endpoints, sound=lambda path: None)
    findings = [one for one in check_flow(parsed, allowed) if one.severity == "error"]
    meant = [one for one in findings if one.code in JUDGEMENTS]
    allowed = set(meant) - set(allowed_out(meant, parsed.text))
    findings = [one for one in findings if one not in allowed]
    if findings:
        raise FlowFileError(findings)
    functions = _functions(parsed, modules)
    if not endpoints.offline and any(isinstance(one, Work) and one.url for one in parsed.steps.values()):
        prepare()
    ask = functools.partial(ask_endpoint, rules=endpoints, transport=transport)

    async def run(call: Call) -> None:
        await TomlRun(parsed, functions, ask, call).run()

    given = parsed.flow.model_dump(exclude={"start"})
    try:
        made = flow(**given)(run)
    except ConfigError as error:  # the file's models know the same limits: this is for whatever they do not
        line = parsed.line("flow")
        raise FlowFileError([Finding(parsed.file, line, "error", "bad-value", str(error))]) from None
    digest = hashlib.sha256(parsed.text.encode("utf-8")).hexdigest()
    return replace(made, source=FlowSource(parsed.path.resolve(), digest))


def _functions(parsed: ParsedFlow, modules: FlowModules) -> Mapping[str, ToolFunction]:
    functions: dict[str, ToolFunction] = {}
    findings: list[Finding] = []
    for name, step in parsed.steps.items():
        if not isinstance(step, Work) or step.function is None or step.function in functions:
            continue
        try:
            functions[step.function] = load_function(step.function, parsed.path.parent, modules)
        except ConfigError as error:
            line = parsed.line("steps", name, "function")
            message = f"step {name}: {error.args[0].removeprefix('function: ')}"
            findings.append(Finding(parsed.file, line, "error", "missing-function", message))
    if findings:
        raise FlowFileError(findings)
    return functions
