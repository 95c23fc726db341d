"""``voiceagent doctor``: the database, and whose the folder of the journals is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from voiceagent.errors import ConfigError

if TYPE_CHECKING:
    from voiceagent.settings import Settings


def database_facts(settings: Settings) -> tuple[bool, str]:
    """Return whether the database can be used, and what to know or do. Changes and makes nothing."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    from voiceagent.store import Database
    from voiceagent.store.schema import HEAD

    try:
        url = make_url(settings.database_url)
    except SQLAlchemyError:
        return False, "database.url is no URL: sqlite:///voiceagent.db, postgresql+psycopg://user@host/name"
    kind = url.get_backend_name()
    where = str(url.database) if kind == "sqlite" else url.render_as_string(hide_password=True)
    if kind == "sqlite" and not Path(where).exists():
        return True, f"{where} will be made"
    database = Database(settings.database_url)
    try:
        version = database.version_now()
    except ConfigError as error:
        return False, f"{error}; start it, or change database.url"
    finally:
        database.close_now()
    if version is None:
        return True, f"{where} is empty; a start makes the tables"
    if version > HEAD:
        return False, f"{where} has version {version}, made by a newer voiceagent; this one knows {HEAD}"
    if version < HEAD:
        words = f"a start brings it to {HEAD}, and so does `voiceagent db upgrade`"
        return True, f"{where} has version {version}; {words}"
    return True, f"{where}, version {version}"


def holder_facts(settings: Settings) -> tuple[bool, str] | None:
    """Return who has the folder of the journals; None while nobody does."""
    from voiceagent.records.lock import holder_of

    holder = holder_of(Path(settings.journal_dir))
    if holder is None:
        return None
    words = f"belongs to {holder or 'another process'}, which runs; each node needs its own"
    return True, f"{settings.journal_dir} {words}"
