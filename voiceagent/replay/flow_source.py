"""Which flow a recording is lived again with: the file that it came from, or another one."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from voiceagent.call.recorded_call import DIGEST_CHARS
from voiceagent.errors import ConfigError
from voiceagent.ivr.flow import Flow
from voiceagent.ivr.loading import load_flows
from voiceagent.replay.recording import NotReplayable


def flow_for(source: Mapping[str, Any], files: Sequence[Path]) -> tuple[Flow, list[str]]:
    """Return the flow, and what is to be said about it. ``files`` go before the recorded file.

    Raises :class:`NotReplayable` when there is none of that name, ConfigError when its file is wrong.
    """
    name = str(source.get("name"))
    notes: list[str] = []
    if not files and str(source.get("module", "")).startswith("voiceagent."):
        return _built_in(str(source["module"]), name), notes
    if not files:
        recorded = source.get("file")
        if not recorded:
            raise NotReplayable(f"flow {name!r} has no file of its own; name one with --flow")
        file = Path(str(recorded))
        if not file.is_file():
            raise NotReplayable(f"flow {name!r}: {file} is not there any more; name its file with --flow")
        if source.get("sha256") not in (None, hashlib.sha256(file.read_bytes()).hexdigest()[:DIGEST_CHARS]):
            notes.append(f"{file} has changed since the call")
        files = [file]
    for flow in load_flows(files, None):  # nobody is asked: what endpoints said is in the journal
        if flow.name == name:
            return flow, notes
    raise NotReplayable(f"no flow is named {name!r} in {', '.join(map(str, files))}")


def _built_in(module: str, name: str) -> Flow:
    try:
        found = vars(importlib.import_module(module))
    except ImportError as error:
        raise ConfigError("flow", f"{module} cannot be imported: {error}") from None
    for value in found.values():
        if isinstance(value, Flow) and value.name == name:
            return value
    raise NotReplayable(f"{module} has no flow named {name!r} (any more); name its file with --flow")
