"""The tables are what the migrations make; a database that cannot be used is told by its setting."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from tests.store.kit import record
from voiceagent.errors import ConfigError
from voiceagent.store import Database, DatabaseDown, history
from voiceagent.store.database import make_engine
from voiceagent.store.schema import HEAD, alembic_config, version_of
from voiceagent.store.tables import metadata


def shape(connection: Any) -> Any:
    """Every table with its columns, keys and indexes, whatever their order."""
    seen = inspect(connection)
    return {
        name: (
            sorted((one["name"], str(one["type"]), one["nullable"]) for one in seen.get_columns(name)),
            seen.get_pk_constraint(name)["constrained_columns"],
            sorted((one["name"], one["column_names"]) for one in seen.get_unique_constraints(name)),
            sorted((one["name"], one["column_names"], one["unique"]) for one in seen.get_indexes(name)),
            sorted(
                (one["constrained_columns"], one["referred_table"]) for one in seen.get_foreign_keys(name)
            ),
        )
        for name in sorted(seen.get_table_names())
        if not name.startswith("call_text_")  # SQLite keeps the full text in these
    }


def test_a_fresh_database_is_what_the_migrations_make(database: Database, request: Any) -> None:
    other = "sqlite://"
    if database.url != other:
        other = request.getfixturevalue("postgres").new_url()
    migrated = make_engine(other)
    with migrated.begin() as connection:
        command.upgrade(alembic_config(connection), "head")
        assert shape(connection) == database.run_now(shape)
        assert version_of(connection) == database.run_now(version_of)
    migrated.dispose()


def test_migrations_make_exactly_the_tables() -> None:
    database = Database("sqlite://")
    database._engine = make_engine("sqlite://")
    database.run_now(lambda connection: command.upgrade(alembic_config(connection), "head"))

    def differences(connection: object) -> list[object]:
        context = MigrationContext.configure(
            connection,  # type: ignore[arg-type]
            opts={
                "include_name": lambda name, kind, _: kind != "table" or not str(name).startswith("call_text")
            },
        )
        return list(compare_metadata(context, metadata))

    assert database.run_now(differences) == []
    assert (
        database.run_now(version_of)
        == HEAD
        == ScriptDirectory.from_config(alembic_config()).get_current_head()
    )


def test_a_second_start_finds_what_the_first_left(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/folder/voiceagent.db"
    for _ in range(2):
        store = Database(url)
        store.open_now()
        store.run_now(lambda c: history.write(c, record("call_1")))
        store.close_now()
    with pytest.raises(DatabaseDown):
        store.run_now(version_of)


@pytest.mark.parametrize(
    "url", ["nonsense", "sqlite:////proc/nowhere/x.db", "nodb://host/x", "sqlite:///{folder}"]
)
def test_an_unusable_url_names_the_setting_and_hides_the_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Database(url.format(folder=tmp_path)).open_now()
    assert refused.value.setting == "database.url"


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/v.db"
    store = Database(url)
    store.open_now()
    store.run_now(lambda c: c.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    store.close_now()
    with pytest.raises(ConfigError, match="newer voiceagent"):
        Database(url).open_now()


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "v.db").write_bytes(b"not a database, whatever its name says" * 100)
    with pytest.raises(ConfigError, match=r"database\.url.*not a database"):
        Database(f"sqlite:///{tmp_path}/v.db").open_now()


async def test_work_runs_beside_the_loop_and_in_one_transaction() -> None:
    store = Database("sqlite://")
    await store.open()
    assert await store.run(lambda _: threading.current_thread()) is not threading.main_thread()
    with pytest.raises(RuntimeError):

        def half(connection: object) -> None:
            history.write(connection, record("call_1"))  # type: ignore[arg-type]
            raise RuntimeError("in the middle")

        await store.run(half)
    assert (await store.run(lambda c: history.find(c, history.CallQuery()))).calls == []
    await asyncio.gather(
        *(store.run(lambda c, n=n: history.write(c, record(f"call_{n}"))) for n in range(20))
    )
    assert len((await store.run(lambda c: history.find(c, history.CallQuery()))).calls) == 20
    await store.close()
    await store.close()


def test_a_lost_table_is_the_database_s_fault_not_a_crash(database: Database) -> None:
    database.run_now(lambda c: c.execute(text("DROP TABLE presets")))
    with pytest.raises(DatabaseDown, match=r"no such table|does not exist"):
        database.run_now(lambda c: c.execute(text("SELECT * FROM presets")))
    assert database.down
    database.run_now(version_of)
    assert database.down == ""
