"""The flows in force, read again while calls run.

The whole set is read, checked and put in place at once, or not at all: a mistake anywhere leaves the old set.
Calls that run keep the flow they began with; the journal of a new call names the set's version. Reading
happens in a thread of its own, for flow files may do anything when they are imported.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog
from pydantic import BaseModel

from voiceagent.app.flow_books import book_of_flows
from voiceagent.console.ports import FlowsRefused
from voiceagent.errors import ConfigError
from voiceagent.ivr.check.python_check import check_python
from voiceagent.ivr.flow import FlowBook
from voiceagent.observe.metrics import Metrics
from voiceagent.settings import Settings
from voiceagent.text_files import UnreadableFile, read_text

_log = structlog.get_logger("voiceagent.flows")

READ_LIMIT_S = 30.0
"""How long the files may take; a file that waits for ever at import must not stop later reloads."""
RELOADED = frozenset({"flows", "routes", "default_flow", "hosted.numbers"})
"""Settings that a reload takes over; all others need a restart."""
BUILT_IN = "built in"

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class _Read:
    """A set that may be put in place."""

    book: FlowBook
    settings: Settings
    needs_restart: tuple[str, ...]


class FlowDesk:
    """Keeps the book of flows in force, and reads the next one.

    ``reread`` returns the settings as they stand now in file and environment; without it the first ones stay,
    and only the files they name are read again. Raises ConfigError like
    :func:`~voiceagent.app.flow_books.book_of_flows`.
    """

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        reread: Callable[[], Settings] | None = None,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.book = book_of_flows(settings)
        self._running = settings
        self._settings = settings
        self._reread = reread
        self._metrics = metrics
        self._wall = wall
        self._one_at_a_time = asyncio.Lock()
        self._needs_restart: tuple[str, ...] = ()
        self._loaded = (wall(), "start")
        self._refused: Mapping[str, Any] | None = None
        metrics.flows_version(self.book.version)
        for mistake in (one for path in settings.flows for one in _mistakes(Path(path))):
            _log.warning("a flow has a mistake; a reload would refuse it", mistake=str(mistake))

    async def reload(self, by: str) -> Mapping[str, Any]:
        """Read the flows again and put them in place; ``by`` says who asked. Returns :meth:`view`.

        Raises :class:`FlowsRefused`: the old set stays.
        """
        async with self._one_at_a_time:
            began = asyncio.get_running_loop().time()
            try:
                read = await in_thread("flow reader", partial(self._read, self.book.version + 1))
            except Exception as error:
                raise self._refuse(error, by) from error
            self.book, self._settings, self._needs_restart = read.book, read.settings, read.needs_restart
            self._loaded, self._refused = (self._wall(), by), None
            self._metrics.flows_reloaded("done", self.book.version)
            _log.info(
                "flows reloaded",
                version=self.book.version,
                flows=[one.name for one in self.book],
                by=by,
                ms=round((asyncio.get_running_loop().time() - began) * 1000),
                **({"needs_restart": read.needs_restart} if read.needs_restart else {}),
            )
            return self.view()

    def view(self) -> Mapping[str, Any]:
        """Return what is in force, as JSON values: see ``GET /v1/flows``."""
        at, by = self._loaded
        book = self.book
        return {
            "version": book.version,
            "loaded_at": at,
            "loaded_by": by,
            "flows": [
                {
                    "name": one.name,
                    "numbers": list(one.numbers),
                    "source": book.sources.get(one.name) or BUILT_IN,
                }
                for one in book
            ],
            "routes": [
                {
                    "place": place,
                    "flow": one.flow,
                    "when": one.model_dump(mode="json", exclude={"flow"}, exclude_defaults=True),
                }
                for place, one in enumerate(self._settings.routes, 1)
            ],
            "default_flow": self._settings.default_flow,
            "needs_restart": list(self._needs_restart),
            "refused": self._refused,
        }

    def _read(self, version: int) -> _Read:
        """Read settings and files. Runs in a thread of its own."""
        fresh = self._running if self._reread is None else self._reread()
        taken = self._running.model_copy(
            update={
                "flows": fresh.flows,
                "routes": fresh.routes,
                "default_flow": fresh.default_flow,
                "hosted": self._running.hosted.model_copy(update={"numbers": fresh.hosted.numbers}),
            }
        )
        problems = [str(one) for path in taken.flows for one in _mistakes(Path(path))]
        if problems:
            raise FlowsRefused(problems)
        changed = tuple(name for name in changes(self._running, fresh) if name not in RELOADED)
        return _Read(book_of_flows(taken, version), taken, changed)

    def _refuse(self, error: Exception, by: str) -> FlowsRefused:
        if isinstance(error, FlowsRefused):
            refused = error
        elif isinstance(error, TimeoutError):
            refused = FlowsRefused([f"flows: were not read within {READ_LIMIT_S:g} s"])
        elif isinstance(error, ConfigError):
            refused = FlowsRefused(_lines(error))
        else:
            _log.error("reading the flows failed", exc_info=error)
            refused = FlowsRefused([f"flows: {type(error).__name__}: {error}"])
        self._refused = {"at": self._wall(), "by": by, "problems": list(refused.problems)}
        self._metrics.flows_reloaded("refused", self.book.version)
        _log.error(
            "flows not reloaded: the old ones stay",
            version=self.book.version,
            by=by,
            problems=list(refused.problems),
        )
        return refused


def _mistakes(path: Path) -> Iterator[Any]:
    """Yield the errors that a check finds in a flow file; warnings are for ``voiceagent flow check``."""
    if path.suffix != ".py" or not path.is_file():
        return
    try:
        text = read_text(path)
    except UnreadableFile as error:
        raise ConfigError("flows", f"{path}: {error}") from None
    yield from (one for one in check_python(text, str(path)).findings if one.severity == "error")


def _lines(error: ConfigError) -> list[str]:
    """Return what an error tells: of a TOML file all its mistakes, else one line."""
    from voiceagent.ivr.toml.read import FlowFileError  # most services have flows of one kind only

    return [str(one) for one in error.findings] if isinstance(error, FlowFileError) else [str(error)]


def changes(old: BaseModel, new: BaseModel, prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of the settings in which two trees differ."""
    for name in type(old).model_fields:
        before, after = getattr(old, name), getattr(new, name)
        if isinstance(before, BaseModel) and isinstance(after, type(before)):
            yield from changes(before, after, f"{prefix}{name}.")
        elif before != after:
            yield prefix + name


async def in_thread(name: str, work: Callable[[], Made], limit_s: float = READ_LIMIT_S) -> Made:
    """Return what ``work`` returns, or raise what it raises, from a daemon thread of its own.

    Raises TimeoutError when it takes longer; the thread is left to itself then, and nobody waits for it when
    the process ends.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Made] = loop.create_future()

    def settle(result: Made | None, error: Exception | None) -> None:
        if done.done():
            return  # nobody waits any more
        if error is None:
            done.set_result(result)  # pyright: ignore[reportArgumentType]
        else:
            done.set_exception(error)

    def run() -> None:
        result: Made | None = None
        failed: Exception | None = None
        try:
            result = work()
        except Exception as error:
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop may have ended meanwhile
            loop.call_soon_threadsafe(settle, result, failed)

    threading.Thread(target=run, name=name, daemon=True).start()
    async with asyncio.timeout(limit_s):
        return await done
