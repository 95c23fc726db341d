"""Files that cannot be read, or never end: one clear error from every command that reads one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from voiceagent.cli.main import app
from voiceagent.text_files import MOST_BYTES, UnreadableFile, read_file, read_text

FLOW = """
from voiceagent.ivr import Call, flow

@flow("shop", numbers=["1"])
async def shop(call: Call) -> None:
    await call.hangup("Goodbye.")
"""


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.mkdir()


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 1)


def _nothing(path: Path) -> None:
    """Make none."""


BAD = [
    (_device, "is no regular file"),
    (_pipe, "is no regular file"),
    (_folder, "is a folder"),
    (_huge, "is larger than"),
    (_nothing, "no such file"),
]
COMMANDS = {
    "a flow in Python": ("bad.py", ["flow", "check", "bad.py"]),
    "a flow in TOML": ("bad.toml", ["flow", "check", "bad.toml"]),
    "the picture of a flow": ("bad.toml", ["flow", "graph", "bad.toml"]),
    "settings": ("bad.toml", ["flow", "check", "shop.py", "--config", "bad.toml"]),
    "a scenario": ("bad.toml", ["flow", "simulate", "shop.py", "--scenario", "bad.toml"]),
    "evidence": ("bad.toml", ["flow", "check", "shop.py", "--scenario", "bad.toml"]),
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    Path("shop.py").write_text(FLOW, encoding="utf-8")


@pytest.mark.parametrize(("make", "reason"), BAD, ids=[told for _, told in BAD])
@pytest.mark.parametrize("what", COMMANDS)
def test_one_line_says_what_is_wrong_with_the_file(
    what: str, make: Callable[[Path], None], reason: str
) -> None:
    name, command = COMMANDS[what]
    make(Path(name))
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2
    told = [line for line in result.stderr.splitlines() if name in line]
    assert len(told) == 1
    # A folder of scenarios may well be meant.
    assert reason in told[0] or (make is _folder and "holds no scenario" in told[0])


@pytest.mark.parametrize(("make", "reason"), BAD, ids=[told for _, told in BAD])
def test_the_reader_itself_says_so(tmp_path: Path, make: Callable[[Path], None], reason: str) -> None:
    make(tmp_path / "x")
    with pytest.raises(UnreadableFile, match=reason):
        read_file(tmp_path / "x")


def test_text_has_no_mark_of_byte_order_and_bad_text_has_a_line(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"\xef\xbb\xbfa = 1\n")
    assert read_text(file) == "a = 1\n"
    file.write_bytes(b"a\nb\n\xff\n")
    with pytest.raises(UnreadableFile, match="not UTF-8") as caught:
        read_text(file)
    assert caught.value.line == 3


@pytest.mark.parametrize(
    "expression",
    ["-" * 60_000 + "1", "+".join(["a"] * 60_000), "(" * 60_000 + ")" * 60_000, "a" + ".b" * 60_000],
    ids=["signs", "sums", "brackets", "dots"],
)
def test_a_text_that_nests_too_deeply_is_a_mistake_as_others(expression: str) -> None:
    Path("deep.py").write_text(f"{FLOW}\nx = {expression}\n", encoding="utf-8")
    checked = CliRunner().invoke(app, ["flow", "check", "deep.py"])
    assert checked.exit_code == 1
    assert "[syntax]" in checked.stdout
    drawn = CliRunner().invoke(app, ["flow", "graph", "deep.py"])
    assert drawn.exit_code == 2
    assert len(drawn.stderr.splitlines()) == 1


def test_a_function_that_nests_too_deeply_is_named_by_the_step_that_calls_it() -> None:
    Path("deep.py").write_text("x = " + "-" * 60_000 + "1\n", encoding="utf-8")
    Path("shop.toml").write_text(
        '[flow]\nname = "a"\n[steps.x]\ntype = "call"\nfunction = "deep:x"\nnext = "y"\notherwise = "y"\n'
        '[steps.y]\ntype = "hangup"\n',
        encoding="utf-8",
    )
    result = CliRunner().invoke(app, ["flow", "check", "shop.toml"])
    assert result.exit_code == 1
    assert result.stdout.startswith("shop.toml:5: error: step x: deep.py cannot be read as Python")
