"""``voiceagent records …``: on the files and the database themselves."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from voiceagent.cli.run import FAILED, fail_with, parse_overrides, printable, show_json
from voiceagent.errors import VoiceAgentError

if TYPE_CHECKING:
    from voiceagent.app.retention import Shelves
    from voiceagent.settings import Settings

Result = TypeVar("Result")


def at_the_shelves(
    config: Path | None, overrides: list[str], work: Callable[[Settings, Shelves], Result], *, as_json: bool
) -> Result:
    """Do ``work`` where the settings say that everything is kept. Faults are one line, exit status 2."""
    from voiceagent.app.retention import Shelves
    from voiceagent.records.objects import open_store
    from voiceagent.settings import load_settings
    from voiceagent.store import Database

    database: Database | None = None
    try:
        settings = load_settings(config, parse_overrides(overrides))
        recording = settings.recording
        store = open_store(recording.store, recording.store_options) if recording.store else None
        database = Database(settings.database_url)
        database.open_now()
        return work(
            settings, Shelves(Path(settings.journal_dir), Path(settings.recordings_dir), database, store)
        )
    except VoiceAgentError as error:
        fail_with(error, as_json=as_json)
    finally:
        if database is not None:
            database.close_now()


def run_purge(config: Path | None, overrides: list[str], *, dry_run: bool, as_json: bool) -> None:
    """Remove what has been kept long enough, and tell."""
    from voiceagent.app.retention import Purged, days_of, purge

    def work(settings: Settings, shelves: Shelves) -> Purged:
        return purge(shelves, days_of(settings.retention), now=time.time(), dry_run=dry_run)

    done = at_the_shelves(config, overrides, work, as_json=as_json)
    if as_json:
        show_json({"dry_run": dry_run, **done.counts, "before": done.before, "failed": done.failed})
    else:
        verb = "would be removed" if dry_run else "removed"
        for kind, count in done.counts.items():
            since = done.before.get(kind)
            old = "kept for ever" if since is None else f"older than {_day(since)}"
            print(f"{kind:<12} {count:>7} {verb if since is not None or count else ''} ({old})")
        for name in done.failed:
            print(printable(f"could not be removed: {name}"))
    raise SystemExit(FAILED if done.failed else 0)


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
