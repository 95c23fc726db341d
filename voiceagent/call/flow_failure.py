"""PURE. What is kept of an exception that a flow let through: what, and where in the flow's own files.

Frames of this package, of Python and of installed packages are left out, and no value of a variable is kept:
a caller's number or PIN may be among them. Everything is bounded, whatever the exception is.
"""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

FRAMES_FIRST, FRAMES_LAST = 6, 18
"""Frames kept of the beginning and of the end of a traceback; a recursion has thousands."""
MESSAGE_CHARS = 500
CAUSES = 8
"""Further exceptions told: those of a group, and what each was raised from."""

Mask = Callable[[str], str]
"""Hides what nobody may read in a text; ``str`` hides nothing."""

_OURS = str(Path(__file__).parents[1])
_PATHS = sysconfig.get_paths()
_INSTALLED = tuple({_PATHS[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")})


@dataclass(frozen=True, slots=True)
class FlowFailure:
    """One failure of a flow, as the journal keeps it."""

    exception: str
    """Name of the exception's class."""
    message: str
    traceback: tuple[str, ...]
    """``file.py:12 in function``, outermost first; empty where none of the flow's own code was running."""
    causes: tuple[str, ...] = ()
    """Exceptions behind it: the members of a group, and what it was raised from."""

    @property
    def about(self) -> str:
        """Type and message in one line."""
        return f"{self.exception}: {self.message}" if self.message else self.exception

    @property
    def place(self) -> str:
        """Where the flow was: ``file.py:12``, or empty."""
        return self.traceback[-1].partition(" ")[0] if self.traceback else ""


def failure_of(error: BaseException, mask: Mask = str) -> FlowFailure:
    """Return what is kept of ``error``; ``mask`` hides what a message may have been made of: a secret."""
    causes: list[str] = []
    _collect(error, causes, {id(error)}, mask)
    return FlowFailure(type(error).__name__, message_of(error, mask), frames_of(error), tuple(causes))


def message_of(error: BaseException, mask: Mask = str) -> str:
    """Return the message in one printable line, cut at ``MESSAGE_CHARS`` after what is secret was hidden."""
    try:
        text = str(error)
    except Exception:  # the author's own __str__
        return "(its message cannot be had)"
    text = mask(text[: 4 * MESSAGE_CHARS])[: 2 * MESSAGE_CHARS]
    line = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    return line if len(line) <= MESSAGE_CHARS else line[: MESSAGE_CHARS - 1] + "…"


def frames_of(error: BaseException) -> tuple[str, ...]:
    """Return the frames of the flow's own files, outermost first, the middle of a long list left out."""
    frames = [
        f"{Path(frame.f_code.co_filename).name}:{line} in {frame.f_code.co_name}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if is_own(frame.f_code.co_filename)
    ]
    surplus = len(frames) - FRAMES_FIRST - FRAMES_LAST
    if surplus > 0:
        frames[FRAMES_FIRST:-FRAMES_LAST] = [f"… {surplus} more"]
    return tuple(frames)


def is_own(file: str) -> bool:
    """Tell whether a file is a flow's, or beside one: not this package's, Python's or an installed one's."""
    if file.startswith(_OURS):
        return file.endswith("front_desk.py")
    return not file.startswith(("<", *_INSTALLED))


def _collect(error: BaseException, into: list[str], seen: set[int], mask: Mask) -> None:
    behind: list[BaseException | None] = []
    if isinstance(error, BaseExceptionGroup):
        behind.extend(cast("Sequence[BaseException]", error.exceptions))  # pyright: ignore[reportUnknownMemberType]
    behind.append(error.__cause__ or (None if error.__suppress_context__ else error.__context__))
    for one in behind:
        if one is None or id(one) in seen or len(into) >= CAUSES:
            continue
        seen.add(id(one))
        failure = FlowFailure(type(one).__name__, message_of(one, mask), frames_of(one))
        into.append(failure.about + (f" ({failure.place})" if failure.place else ""))
        _collect(one, into, seen, mask)
