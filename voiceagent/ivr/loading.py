"""From flow files to flows. A mistake names the file and, where it can, the line."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from voiceagent.errors import ConfigError
from voiceagent.ivr.flow import Flow, FlowBook
from voiceagent.ivr.modules import FlowModules, meant_by_the_user
from voiceagent.ivr.toml.endpoints import EndpointRules


@dataclass(frozen=True, slots=True)
class LoadedFlow:
    """One flow and the file that declares it, as it was named."""

    flow: Flow
    source: str


def load_flows(paths: Iterable[str | Path], http_hosts: Iterable[str] | None = ()) -> FlowBook:
    """Read flow files and collect the flows they declare; their modules stay until the process ends.

    Python files are imported, TOML files (one flow each) checked. ``http_hosts`` are those that TOML flows
    may ask, besides this machine: see :class:`~voiceagent.ivr.toml.endpoints.EndpointRules`; None: nobody is
    asked, as in a simulation.

    Raises :class:`~voiceagent.errors.ConfigError` naming the file when it is missing, fails to import, or
    declares no flow; for TOML with the line and the key.
    """
    return FlowBook(one.flow for one in read_flows(paths, FlowModules(), http_hosts))


def read_flows(
    paths: Iterable[str | Path], modules: FlowModules, http_hosts: Iterable[str] | None = ()
) -> list[LoadedFlow]:
    """Load flow files into ``modules``, in order. Raises ConfigError; nothing of it is left by name then."""
    found: dict[int, LoadedFlow] = {}
    endpoints = EndpointRules(http_hosts or (), offline=http_hosts is None)
    try:
        for path in paths:
            for flow in _flows_of(Path(path), modules, endpoints):
                found.setdefault(id(flow), LoadedFlow(flow, str(path)))  # one file may import another's flow
    except BaseException:
        modules.forget()
        raise
    return list(found.values())


def _flows_of(path: Path, modules: FlowModules, endpoints: EndpointRules) -> list[Flow]:
    if not path.is_file():
        problem = f"{path}: is no regular file" if path.exists() else f"no such file: {path}"
        raise ConfigError("flows", problem)
    if path.suffix == ".toml":
        return [_toml_flow(path, modules, endpoints)]
    if path.suffix != ".py":
        raise ConfigError("flows", f"neither a Python nor a TOML file: {path}")
    try:
        module = modules.load(path)
    except ConfigError:
        raise
    except BaseException as error:
        if meant_by_the_user(error):
            raise
        told = modules.told(error)
        raise ConfigError("flows", f"{place_of(error, path)} fails to import: {told}") from error
    flows = [value for value in vars(module).values() if isinstance(value, Flow)]
    if not flows:
        raise ConfigError("flows", f"{path} declares no flow (use @flow)")
    return flows


def _toml_flow(path: Path, modules: FlowModules, endpoints: EndpointRules) -> Flow:
    from voiceagent.ivr.toml.load import toml_flow  # many services have none

    return toml_flow(path, modules, endpoints)


def place_of(error: BaseException, path: Path) -> str:
    """Return ``file:line`` where a file, or one beside it, has failed; else the file alone."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f"{_shown(error.filename, path)}:{error.lineno}"
    folder = str(path.parent.resolve())
    frames = [
        one for one in traceback.extract_tb(error.__traceback__) if str(Path(one.filename).parent) == folder
    ]
    return f"{_shown(frames[-1].filename, path)}:{frames[-1].lineno}" if frames else str(path)


def _shown(filename: str, path: Path) -> str:
    """Return a file's name as the flow file itself was named."""
    file = Path(filename)
    return str(path.parent / file.name) if file.parent == path.parent.resolve() else filename
