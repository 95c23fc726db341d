"""The first input of a call: everything that it was made with."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import voiceagent
from voiceagent.call.config import CallConfig
from voiceagent.call.inputs import INPUTS_VERSION, Inputs
from voiceagent.call.leg import Leg
from voiceagent.call.loop_timers import is_uvloop
from voiceagent.call.outside import Outside
from voiceagent.call.recorded_leg import leg_data, recorded_dial, recorded_leg
from voiceagent.call.recorded_outside import recorded_outside, recorded_recordings
from voiceagent.call.session_setup import SessionDefaults
from voiceagent.call.transfers import Dial
from voiceagent.ivr.flow import Flow
from voiceagent.ivr.modules import compiled_from
from voiceagent.records.recording import Recordings

if TYPE_CHECKING:
    from voiceagent.call.call import Call


def recorded(
    inputs: Inputs | None, leg: Leg, dial: Dial | None, outside: Outside, recordings: Recordings
) -> tuple[Leg, Dial | None, Outside, Recordings]:
    """Return the ways into a call with what comes over them written down, where that is wanted."""
    leg, dial = recorded_leg(leg, inputs), recorded_dial(dial, inputs)
    return leg, dial, recorded_outside(outside, inputs), recorded_recordings(recordings, inputs)


def write_call(call: Call, config: CallConfig, transcription: object, *, second: bool) -> None:
    """Write ``in.call``: who calls whom, with which flow and settings, and the seed of all ids.

    ``second``: there is a provider that stands in for the first.
    """
    inputs = call.inputs
    if inputs is None:
        return
    inputs.own()
    inputs.write(
        "call",
        inputs=INPUTS_VERSION,
        version=voiceagent.__version__,
        call_id=call.id,
        seed=inputs.seed,
        began_at=inputs.began_at,
        started_at=round(call.started_at, 6),
        loop_t=round(call.journal.start, 6),
        made=round(call.began - call.journal.start, 6),
        uvloop=is_uvloop(asyncio.get_running_loop()),
        flow={"name": call.flow.name, **source_of(call.flow)},
        config=asdict(config),
        transcription=transcription,
        metadata=call.metadata,
        origin=call.origin,
        second=second,
        dials=call.transfers.can_dial,
        **leg_data(call.leg),
    )


def write_session(
    inputs: Inputs, *, provider: str, defaults: SessionDefaults, place: str, model: str | None, **facts: Any
) -> None:
    """Write ``in.session``: with what a session is about to be opened. ``place``: first, second, hosted."""
    inputs.write(
        "session",
        number=inputs.new_session(),
        place=place,
        provider=provider,
        model=model,
        defaults=asdict(defaults),
        **facts,
    )


DIGEST_CHARS = 16
"""Of a flow's digest in a journal: enough to tell two states of one file apart."""


@cache
def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def source_of(flow: Flow) -> dict[str, str]:
    """Return where a flow was written: ``file``, ``module`` (of Python) and ``sha256`` (of what was loaded).

    The digest is cut to :data:`DIGEST_CHARS`. A flow of no flow file has that of the file when first asked.
    """
    if flow.source is not None:
        return {"file": str(flow.source.file), "sha256": flow.source.sha256[:DIGEST_CHARS]}
    function = inspect.unwrap(flow.function)
    found: dict[str, str] = {"module": str(getattr(function, "__module__", ""))}
    try:
        file = inspect.getsourcefile(function)
    except TypeError:
        file = None
    if file:
        path = Path(file).resolve()
        found["file"] = str(path)
        loaded = compiled_from(function) if inspect.isfunction(function) else None
        digest = loaded or _digest(path)
        if digest is not None:
            found["sha256"] = digest[:DIGEST_CHARS]
    return found
