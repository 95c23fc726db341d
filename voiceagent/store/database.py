"""One engine, one thread: work with the database never runs on the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from voiceagent.errors import ConfigError, Fault, VoiceAgentError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_log = logging.getLogger("voiceagent.store")

Result = TypeVar("Result")
Work = Callable[["Connection"], Result]
"""Runs in one transaction on the database's thread: committed when it returns, undone when it raises."""

SQLITE = "sqlite:///"
TOO_LARGE = frozenset({"54000"})
"""PostgreSQL's ``program_limit_exceeded``, of a full text that is too long: psycopg has it as operational."""
BUSY_MS = 5000
"""How long SQLite waits for another process's lock before it says that the database is locked."""


class DatabaseDown(VoiceAgentError):
    """The database could not be asked: away, locked or full. Calls go on."""

    fault = Fault.OURS
    code = "database_down"


class WorkRefused(DatabaseDown):
    """The database is there, and will never take this: a value that it cannot hold."""


class Database:
    """The one way to the database. ``url`` is SQLAlchemy's: ``sqlite:///voiceagent.db``, ``postgresql+psycopg://…``.

    ``sqlite://`` keeps everything in memory, for tests. SQLite gets write-ahead logging and foreign keys.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.down = ""
        """Why the last piece of work failed; empty while all is well."""
        self.failures = 0
        """Pieces of work that failed so."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="voiceagent-database")
        self._engine: Engine | None = None
        self._ready = False
        """The tables are known to be up to date."""

    async def open(self, *, patient: bool = False) -> None:
        """Connect and bring the tables up to date. Raises ConfigError naming ``database.url``.

        ``patient``: a database that is away is no mistake; it is brought up to date with the first work that
        it does.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self.open_now, patient)

    def open_now(self, patient: bool = False) -> None:
        """… from a program without an event loop (the CLI)."""
        from sqlalchemy.exc import OperationalError, SQLAlchemyError

        engine: Engine | None = None
        try:
            engine = make_engine(self.url)
            self._prepare(engine)
        except (SQLAlchemyError, OSError, ImportError) as error:
            if engine is None or not (patient and isinstance(error, OperationalError)):
                if engine is not None:
                    engine.dispose()
                raise ConfigError("database.url", f"cannot use {_shown(self.url)}: {_short(error)}") from None
            self.down = _short(error)
            _log.warning("the database is away: %s", self.down)
        self._engine = engine

    def _prepare(self, engine: Engine) -> None:
        from voiceagent.store.schema import upgrade

        with engine.begin() as connection:
            upgrade(connection)
        self._ready = True

    def version_now(self) -> str | None:
        """Return the version of the tables as they stand, None where there are none. Raises ConfigError."""
        from sqlalchemy.exc import SQLAlchemyError

        from voiceagent.store.schema import version_of

        engine: Engine | None = None
        try:
            engine = make_engine(self.url)
            with engine.begin() as connection:
                return version_of(connection)
        except (SQLAlchemyError, OSError, ImportError) as error:
            raise ConfigError("database.url", f"cannot use {_shown(self.url)}: {_short(error)}") from None
        finally:
            if engine is not None:
                engine.dispose()

    async def run(self, work: Work[Result]) -> Result:
        """Do ``work`` in a transaction. Raises :class:`DatabaseDown`; errors of ``work`` itself pass through.

        A caller that is cancelled leaves the work to its end.
        """
        if self._engine is None:
            raise DatabaseDown("the database is closed")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.run_now, work)

    def run_now(self, work: Work[Result]) -> Result:
        """… on this thread."""
        from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

        engine = self._engine
        if engine is None:
            raise DatabaseDown("the database is closed")
        try:
            if not self._ready:
                self._prepare(engine)
            with engine.begin() as connection:
                result = work(connection)
        except IntegrityError:
            raise
        except DBAPIError as error:
            if isinstance(error, DataError) or getattr(error.orig, "sqlstate", None) in TOO_LARGE:
                raise WorkRefused(f"the database does not take this: {_short(error)}") from error
            self.down = _short(error)
            self.failures += 1
            raise DatabaseDown(f"the database cannot be used: {self.down}") from error
        self.down = ""
        return result

    def run_waiting(self, work: Work[Result]) -> Result:
        """… from another thread than the loop's: it waits for its turn on the database's."""
        return self._thread.submit(self.run_now, work).result()

    def scrub_waiting(self) -> None:
        """Have the database's files let go of what was deleted; as :meth:`run_waiting`.

        SQLite's file is written anew and the log beside it emptied; PostgreSQL vacuums. Raises DatabaseDown.
        """
        self._thread.submit(self._scrub).result()

    def _scrub(self) -> None:
        from sqlalchemy import text
        from sqlalchemy.exc import DBAPIError

        if self._engine is None:
            raise DatabaseDown("the database is closed")
        try:
            with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                lite = connection.dialect.name == "sqlite"
                if lite:
                    connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
                connection.execute(text("VACUUM"))
                # That a reader keeps the log from being emptied is told as an answer, not as an error.
                if lite and connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)")).scalar():
                    raise DatabaseDown("the database cannot be cleaned: another process reads it")
        except DBAPIError as error:
            raise DatabaseDown(f"the database cannot be cleaned: {_short(error)}") from error

    async def close(self) -> None:
        """Let the work under way end, then disconnect. Harmless when repeated."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, engine.dispose)
        self._thread.shutdown(wait=False)

    def close_now(self) -> None:
        """… from a program without an event loop."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()
        self._thread.shutdown(wait=False)


def make_engine(url: str) -> Engine:
    """Return an engine for ``url``; the folder of a SQLite file is made."""
    from sqlalchemy import create_engine, event
    from sqlalchemy.engine import make_url
    from sqlalchemy.pool import StaticPool

    parts = make_url(url)
    if parts.get_backend_name() != "sqlite":
        return create_engine(parts, pool_pre_ping=True, pool_size=2, max_overflow=0)
    if parts.database in (None, "", ":memory:"):
        engine = create_engine(parts, poolclass=StaticPool, connect_args={"check_same_thread": False})
    else:
        Path(str(parts.database)).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(parts, connect_args={"timeout": BUSY_MS / 1000, "check_same_thread": False})

    def prepare(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    event.listen(engine, "connect", prepare)
    return engine


def _shown(url: str) -> str:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return make_url(url).render_as_string(hide_password=True)
    except SQLAlchemyError:
        return "what is set there"


def _short(error: BaseException) -> str:
    """Return an error's first line, without SQLAlchemy's link and the statement."""
    original = getattr(error, "orig", None)
    return (str(original or error).strip().splitlines() or [type(error).__name__])[0]
