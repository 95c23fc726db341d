"""``voiceagent db upgrade|rebuild|check``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from voiceagent.cli.run import FAILED, fail_with, parse_overrides, printable, show_json
from voiceagent.errors import VoiceAgentError

if TYPE_CHECKING:
    from voiceagent.settings import Settings
    from voiceagent.store import Database
    from voiceagent.store.rebuild import Found

Result = TypeVar("Result")
SHOWN = 10
"""Names of one kind that are printed for people."""
PROGRESS_S = 2.0


def _with_database(
    config: Path | None, overrides: list[str], as_json: bool, work: Callable[[Settings, Database], Result]
) -> Result:
    from voiceagent.settings import load_settings
    from voiceagent.store import Database

    database: Database | None = None
    try:
        settings = load_settings(config, parse_overrides(overrides))
        database = Database(settings.database_url)
        return work(settings, database)
    except VoiceAgentError as error:
        fail_with(error, as_json=as_json)
    finally:
        if database is not None:
            database.close_now()


def upgrade_database(config: Path | None, overrides: list[str], *, as_json: bool) -> None:
    """Bring the tables up to date and say from where to where."""
    from voiceagent.store.schema import version_of

    def work(_settings: Settings, database: Database) -> tuple[str | None, str | None]:
        before = database.version_now()
        database.open_now()
        return before, database.run_now(version_of)

    before, after = _with_database(config, overrides, as_json, work)
    if as_json:
        show_json({"before": before, "after": after})
    elif before == after:
        print(f"the database has version {after}: up to date")
    else:
        print(f"the database has version {after} now ({before or 'it was empty'})")


def look_at_journals(
    config: Path | None, overrides: list[str], *, write: bool, checking: bool, as_json: bool
) -> None:
    """Go through all journals, and tell; exit status 1 when something is amiss."""
    from voiceagent.records.lock import holder_of
    from voiceagent.store.rebuild import look_through

    def work(settings: Settings, database: Database) -> tuple[Found, str | None]:
        folder = Path(settings.journal_dir)
        database.open_now()
        running = holder_of(folder)
        audio = Path(settings.recordings_dir)
        found = look_through(database, folder, write=write, progress=_Progress(as_json), audio=audio)
        return found, running

    found, running = _with_database(config, overrides, as_json, work)
    well = found.agree if checking else not found.unreadable
    if as_json:
        show_json({"ok": well, "running": running is not None, **asdict(found)})
    else:
        for line in _told(found, write=write, checking=checking, running=running):
            print(printable(line))
    raise SystemExit(0 if well else FAILED)


class _Progress:
    """Says on standard error how far it is, now and then."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._next = time.monotonic() + PROGRESS_S

    def __call__(self, done: int, of: int) -> None:
        if not self._quiet and time.monotonic() >= self._next:
            self._next += PROGRESS_S
            print(f"{done} of {of} journals", file=sys.stderr)


def _told(found: Found, *, write: bool, checking: bool, running: str | None) -> Iterable[str]:
    yield f"{found.journals} journals, {found.calls} calls that have ended"
    if write:
        yield f"{found.written} written: {len(found.missing)} were missing, {len(found.differing)} differed"
    elif found.missing or found.differing:
        yield f"{len(found.missing)} missing in the database, {len(found.differing)} differing"
        yield from _some("missing", found.missing)
        yield from _some("differs", [f"{one}: {', '.join(f)}" for one, f in found.differing.items()])
    if found.unended:
        why = "their calls may still run" if running is not None else "the service closes them at its start"
        yield f"{len(found.unended)} without an end, left alone: {why}"
    yield from _some("there twice, left out", found.doubled)
    yield from _some("unreadable", list(found.unreadable.values()))
    if checking and found.agree:
        yield "the database holds what the journals say"


def _some(what: str, names: list[str]) -> Iterable[str]:
    for name in names[:SHOWN]:
        yield f"  {what}: {name}"
    if len(names) > SHOWN:
        yield f"  … and {len(names) - SHOWN} more; --json lists all"
