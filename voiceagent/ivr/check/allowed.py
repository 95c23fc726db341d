"""What a check is told of the settings: whom flows may transfer to, ask and queue for, what can be played."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from voiceagent.ivr.toml.complaints import nearest
from voiceagent.ivr.toml.endpoints import EndpointRules
from voiceagent.text_files import UnreadableFile, demand_file


class Targets(Protocol):
    """Who may be transferred to: :class:`voiceagent.call.targets.TargetRules`."""

    def check(self, text: str) -> object:
        """Raise :class:`~voiceagent.errors.RequestRefused` for a target that is not allowed."""
        ...


Queues = Collection[str]
"""Names of the queues in the settings."""
SoundProblem = Callable[[Path], str | None]
"""Returns why a file cannot be played: ``is …``, ``cannot …``; None where it can."""


def file_problem(path: Path) -> str | None:
    """Return why a file cannot be opened, or None. What it holds is not looked at."""
    try:
        demand_file(path)
    except UnreadableFile as error:
        return str(error)
    return None


@dataclass(frozen=True, slots=True)
class Allowed:
    """What flows may do. None: not known, and nothing is found about it."""

    targets: Targets | None = None
    endpoints: EndpointRules | None = None
    queues: Queues | None = None
    sound: SoundProblem = file_problem


def no_such_queue(name: str, queues: Queues) -> tuple[str, str] | None:
    """Return message and remedy for a queue that the settings do not have; None for one that they have."""
    if name in queues:
        return None
    known = f"the settings have {', '.join(sorted(queues))}" if queues else "the settings have none"
    return f"there is no queue {name!r}: {known}", nearest(name, queues) or "write it under [[queues]]"


def cannot_be_played(name: str, folder: Path, sound: SoundProblem) -> str | None:
    """Return what is wrong with a file that a flow in ``folder`` plays: found beside it, else by its name."""
    beside = folder / name
    path = beside if beside.exists() else Path(name)
    problem = sound(path)
    if problem is None:
        return None
    if problem == "no such file":
        return f"there is no file {name} to be played"
    return f"{name} cannot be played: {problem}"
