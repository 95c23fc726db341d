"""The recordings of an ended call: which there are, and where their bytes are now.

A recording keeps the name that it began with; its bytes may have become Opus since, and may lie in the object
store.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import asdict, dataclass
from typing import Any, cast

from voiceagent.console.files import Readable, beside, open_below
from voiceagent.console.problems import Problem
from voiceagent.console.views import Json, plain
from voiceagent.records.objects import NoSuchObject, ObjectStore, StoreError, name_of
from voiceagent.records.states import RecordingRecord
from voiceagent.records.sweep import opus_name
from voiceagent.store.history import Found

TYPES = {"wav": "audio/wav", "opus": "audio/ogg"}
AUDIO: dict[str, dict[str, Any]] = {kind: {} for kind in TYPES.values()}
"""As OpenAPI tells it."""

PLAY_S = 600.0
"""A player asks for one recording piece by piece: so long it is one listening, and one line of the log."""


class Plays:
    """PURE. Who plays which recording at the moment, the longest ago forgotten first."""

    def __init__(self, most: int = 1024) -> None:
        self._most = most
        self._since: OrderedDict[tuple[str, str], float] = OrderedDict()

    def begins(self, who: str, file: str, now: float) -> bool:
        """Return whether this is a new listening."""
        since = self._since.get((who, file))
        if since is not None and now - since < PLAY_S:
            return False
        self._since[who, file] = now
        self._since.move_to_end((who, file))
        if len(self._since) > self._most:
            self._since.popitem(last=False)
        return True


@dataclass(frozen=True, slots=True)
class Audio:
    """A recording that can be read."""

    bytes: Readable
    name: str
    """What a download is called."""
    media_type: str


@dataclass(frozen=True, slots=True)
class _Stored:
    """An object of the store."""

    store: ObjectStore
    name: str
    size: int
    tag: str
    piece: int = 1 << 20

    def read(self, start: int, end: int) -> bytes:
        return self.store.read(self.name, start, end)

    def close(self) -> None:
        pass


async def open_audio(
    folder: str, file: str, known: RecordingRecord | None, store: ObjectStore | None
) -> Audio:
    """Open a recording wherever it is. Raises Problem: 404 where it is gone, 503 where the store is away."""
    if known is not None and known.state == "erased":
        raise Problem(404, "no_recording", f"The recording {file!r} has been erased.")
    if known is not None and known.state == "stored" and "://" in known.location:
        name = None if store is None else name_of(known.location, store)
        if store is None or name is None:
            words = f"The recording {file!r} lies at {known.location}, which is not the store of this node."
            raise Problem(503, "object_store", words, remedy="Set recording.store to where it lies.")
        try:
            head = await beside(store.head, name)
        except NoSuchObject:
            raise Problem(404, "no_recording", f"The recording {file!r} is not kept any more.") from None
        except StoreError as error:
            raise Problem(503, "object_store", f"The object store cannot be asked: {error}") from None
        tag = f'"{known.sha256[:32] or head.size}"'
        return Audio(_Stored(store, name, head.size, tag), name, _type_of(name))
    names = [known.location] if known is not None and known.location else []
    # A file may have become Opus a moment before the database hears of it.
    for name in (*names, file, opus_name(file)):
        try:
            return Audio(open_below(folder, name), name, _type_of(name))
        except FileNotFoundError:
            continue
    raise Problem(404, "no_recording", f"The recording {file!r} is not kept any more.")


def recording_data(one: RecordingRecord) -> Json:
    """Return a recording as the API shows it: not where it lies."""
    kept = asdict(one)
    return {name: plain(kept[name]) for name in _SHOWN}


_SHOWN = (
    "file",
    "name",
    "started_at",
    "seconds",
    "bytes",
    "sha256",
    "format",
    "state",
    "dropped_s",
    "error",
)


def _type_of(name: str) -> str:
    return TYPES["opus" if name.endswith(".opus") else "wav"]


def recordings_of(found: Found) -> list[str]:
    """Return the names of all recordings of a call, the first one first."""
    more: Any = found.call.figures.get("recordings", ())
    names = [found.call.recording, *(cast("list[Any]", more) if isinstance(more, list) else [])]
    return list(dict.fromkeys(str(name) for name in names if name))


def recordings_at(found: Found) -> list[float]:
    """Return when each recording begins, in seconds since the call began; 0 where nobody noted it."""
    noted: Any = found.call.figures.get("recordings_at", ())
    times = cast("list[Any]", noted) if isinstance(noted, list) else []
    known = [float(at) if isinstance(at, int | float) else 0.0 for at in times]
    wanted = len(recordings_of(found))
    return [*known[:wanted], *[0.0] * (wanted - len(known))]
