"""No statement of ours is put together from what somebody said: SQL is constants and parameters."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import voiceagent

ROOT = Path(voiceagent.__file__).parent
RUNS_SQL = {"text", "exec_driver_sql", "literal_column", "execute", "executescript", "scalar", "scalars"}
KNOWN = {
    # Its statements are constants, made by our own script from the migrations.
    ("store/fresh.py", "text(statement)"),
    # A PRAGMA takes no parameters; these are written two lines above.
    ("store/database.py", "cursor.execute(f'PRAGMA {pragma}')"),
}


def suspicious(source: str) -> list[str]:
    """Return calls that run SQL made on the spot, or not written where it is used."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name not in RUNS_SQL:
            continue
        first = node.args[0]
        made = isinstance(first, ast.JoinedStr | ast.BinOp)
        made |= (
            isinstance(first, ast.Call)
            and isinstance(first.func, ast.Attribute)
            and first.func.attr in ("format", "join", "replace")
        )
        if name in ("text", "exec_driver_sql", "literal_column"):
            made |= not isinstance(first, ast.Constant)
        if made:
            found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize(
    "code",
    [
        "c.execute(f'SELECT {x}')",
        "c.execute('SELECT ' + x)",
        "c.execute('SELECT %s' % x)",
        "c.execute('SELECT {}'.format(x))",
        "text(x)",
        "sa.text(f'{x}')",
        "c.exec_driver_sql(x)",
        "literal_column(x)",
    ],
)
def test_the_check_finds_what_it_is_for(code: str) -> None:
    assert suspicious(code)
    assert not suspicious("c.execute(text('SELECT :x'), {'x': x})")
    assert not suspicious("c.execute(select(t.c.x).where(t.c.x == x))")


def test_sql_is_constants_and_parameters() -> None:
    files = [
        *(ROOT / "store").rglob("*.py"),
        *(ROOT / "console").rglob("*.py"),
        *(ROOT / "cli").rglob("*.py"),
    ]
    assert len(files) > 50
    wrong = [
        (str(file.relative_to(ROOT)), code)
        for file in files
        if "sqlalchemy" in (source := file.read_text(encoding="utf-8"))
        for code in suspicious(source)
    ]
    assert set(wrong) <= KNOWN, wrong
