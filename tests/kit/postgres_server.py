"""A real PostgreSQL on a free port of 127.0.0.1, to be stopped and started; an empty schema for each test."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.kit.ports import free_port

READY_S = 60.0
FAST = ("fsync=off", "full_page_writes=off", "shared_buffers=16MB", "max_wal_size=64MB")
"""No flush to the disk; a commit is still written before it is answered, and outlives :meth:`stop`."""


class PostgresServer:
    """One server; what was committed is still there after :meth:`stop` and :meth:`start`."""

    def __init__(self, folder: Path) -> None:
        self._programs = programs()
        self._folder = folder
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:  # it refuses to run as root
            self._as = {"user": "postgres", "group": "postgres", "extra_groups": []}
            shutil.chown(folder, "postgres")
        self._data = folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._schemas = 0
        self.port = free_port()
        command = [self._programs / "initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        command += ["--locale=C", "--no-sync", "--no-instructions"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder, **self._as)

    def url(self, schema: str = "public") -> str:
        """Return SQLAlchemy's URL of one schema."""
        options = f"?options=-csearch_path%3D{schema}&connect_timeout=20"
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres{options}"

    def new_url(self) -> str:
        """Return the URL of an empty schema."""
        self._schemas += 1
        schema = f"t{self._schemas}"
        self.tell(f"CREATE SCHEMA {schema}")
        return self.url(schema)

    def tell(self, statement: str) -> list[Any]:
        """Do one statement, on a connection of its own; return its rows."""
        import psycopg

        with psycopg.connect(
            f"postgresql://postgres@127.0.0.1:{self.port}/postgres", autocommit=True
        ) as line:
            found = line.execute(statement.encode())
            return found.fetchall() if found.description else []

    def start(self) -> None:
        """Start it, wait until it answers."""
        command = [self._programs / "postgres", "-D", self._data, "-p", str(self.port), "-h", "127.0.0.1"]
        command += [word for one in (*FAST, "unix_socket_directories=") for word in ("-c", one)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder, **self._as)
        end = time.monotonic() + READY_S
        while not self._answers():
            if time.monotonic() > end or self._process.poll() is not None:
                raise RuntimeError(f"postgres does not start: {(self._folder / 'log').read_text()[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it with all its connections, as an immediate shutdown does. Harmless when repeated."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGQUIT)
            process.wait(READY_S)

    def _answers(self) -> bool:
        import psycopg

        try:
            return self.tell("SELECT 1") == [(1,)]
        except psycopg.OperationalError:
            return False


def programs() -> Path:
    """Return where PostgreSQL's programs are; skips loudly where they are not."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda one: one.parts[-3])
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        pytest.skip("PostgreSQL (initdb) is not installed: scripts/setup test does it")
    pytest.importorskip("psycopg", reason="psycopg is not installed: scripts/setup test does it")
    return found[-1].parent if found else Path(str(on_path)).resolve().parent


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Have a running server in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="voiceagent-postgres-"))
    try:
        server = PostgresServer(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests; those that stop it start it again."""
    with postgres_server() as server:
        yield server
