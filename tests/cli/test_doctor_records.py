"""The doctor on the database and the journals: reachable, of which version, whose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.kit.postgres_server import PostgresServer
from voiceagent.cli.doctor_records import database_facts, holder_facts
from voiceagent.records.lock import FolderLock
from voiceagent.settings import Settings, bare_settings
from voiceagent.store import Database
from voiceagent.store.schema import HEAD


def settings(folder: Path, **more: Any) -> Settings:
    flags = {
        "journal_dir": str(folder / "journals"),
        **{key.replace("__", "."): one for key, one in more.items()},
    }
    return bare_settings(flags)


def test_a_database_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    well, words = database_facts(settings(tmp_path))
    assert (well, words.endswith("voiceagent.db will be made")) == (True, True)
    assert list(tmp_path.iterdir()) == []


def with_version(url: str, version: str | None) -> None:
    store = Database(url)
    store.open_now()
    if version is not None:
        store.run_now(lambda c: c.execute(text(f"UPDATE alembic_version SET version_num = '{version}'")))
    store.close_now()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize(
    ("version", "well", "words"),
    [(None, True, f"version {HEAD}"), ("0001", True, "voiceagent db upgrade"), ("9999", False, "newer")],
)
def test_its_version_is_told(
    tmp_path: Path, request: Any, kind: str, version: str | None, well: bool, words: str
) -> None:
    url = f"sqlite:///{tmp_path}/v.db"
    if kind == "postgresql":
        url = request.getfixturevalue("postgres").new_url()
        assert database_facts(settings(tmp_path, database__url=url))[1].endswith("a start makes the tables")
    with_version(url, version)
    found, told = database_facts(settings(tmp_path, database__url=url))
    assert (found, words in told) == (well, True), told


def test_a_stopped_server_is_told_without_the_password(tmp_path: Path, postgres: PostgresServer) -> None:
    url = f"postgresql+psycopg://ada:s3cret@127.0.0.1:{postgres.port + 1 if postgres.port < 65535 else 1}/x"
    well, told = database_facts(settings(tmp_path, database__url=url))
    assert not well
    assert told.startswith("database.url: cannot use postgresql+psycopg://ada:***@127.0.0.1")
    assert "s3cret" not in told
    assert database_facts(settings(tmp_path, database__url="nonsense"))[0] is False


def test_the_journals_are_somebody_s(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    assert holder_facts(chosen) is None
    with FolderLock(tmp_path / "journals", "node b, process 7"):
        found = holder_facts(chosen)
    assert found is not None
    assert "belongs to node b, process 7" in found[1]
    assert holder_facts(chosen) is None
