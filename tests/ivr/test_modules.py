"""Flow files in fresh modules: a set has its own, of helpers too, and leaves nothing when it goes."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from voiceagent.errors import ConfigError
from voiceagent.ivr.loading import read_flows
from voiceagent.ivr.modules import PREFIX, FlowModules

DESK = """
import logging

import shop
from voiceagent.ivr import Call, flow

LOG = logging.getLogger(__name__)


@flow("desk")
async def desk(call: Call) -> str:
    from tools.prices import price

    return f"{shop.NAME} {price()}"
"""
FILES = {
    "desk.py": DESK,
    "shop.py": "NAME = 'one'",
    "tools/__init__.py": "",
    "tools/prices.py": "from . import vat\nimport shop\ndef price(): return f'{vat.RATE} {shop.NAME}'\n",
    "tools/vat.py": "RATE = 20",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, **FILES)
    return tmp_path


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        os.utime(path, (1_800_000_000, 1_800_000_000))  # every edit within one second


def load(folder: Path, *names: str) -> tuple[FlowModules, Any]:
    modules = FlowModules()
    loaded = read_flows([folder / name for name in names or ("desk.py",)], modules)
    return modules, loaded[0].flow.function


def said(function: Any) -> str:
    return asyncio.run(function(None))


def left(modules: FlowModules) -> list[str]:
    return [
        name
        for name in [*sys.modules, *logging.root.manager.loggerDict]
        if name.startswith(modules.name + "_")
    ]


def test_two_sets_live_side_by_side_with_helpers_of_their_own(folder: Path) -> None:
    old, first = load(folder)
    write(folder, **{"shop.py": "NAME = 'two'", "tools/vat.py": "RATE = 25"})
    new, second = load(folder)
    assert said(second) == "two 25 two"
    assert said(first) == "one 25 one"  # what it imports only now, it finds as it is now
    old.forget()
    assert said(second) == "two 25 two"
    new.forget()


def test_what_a_function_imports_when_called_is_of_its_own_set_too(folder: Path) -> None:
    old, first = load(folder)
    assert said(first) == "one 20 one"
    write(folder, **{"shop.py": "NAME = 'two'", "tools/vat.py": "RATE = 25"})
    new, second = load(folder)
    assert (said(first), said(second)) == ("one 20 one", "two 25 two")
    assert "shop" not in sys.modules
    assert "tools" not in sys.modules
    for modules in (old, new):
        modules.forget()


def test_a_set_that_goes_leaves_no_module_and_no_logger(folder: Path) -> None:
    modules, function = load(folder)
    said(function)
    assert len(left(modules)) >= 7
    modules.forget()
    assert left(modules) == []


def test_a_helper_that_is_new_in_the_folder_is_found(folder: Path) -> None:
    load(folder)[0].forget()
    write(
        folder, **{"late.py": "NAME = 'late'", "desk.py": DESK.replace("import shop", "import late as shop")}
    )
    modules, function = load(folder)
    assert said(function) == "late 20 one"
    modules.forget()


def test_pythons_own_names_and_installed_packages_are_not_taken_from_beside(folder: Path) -> None:
    write(
        folder,
        **{"json.py": "raise RuntimeError('not this one')", "desk.py": DESK + "\nimport json, pydantic\n"},
    )
    modules, function = load(folder)
    assert function.__globals__["json"] is sys.modules["json"]
    assert function.__globals__["pydantic"] is sys.modules["pydantic"]
    modules.forget()


def test_one_flow_file_may_use_another(folder: Path) -> None:
    write(folder, **{"night.py": "from desk import desk\nimport tools.vat\nRATE = tools.vat.RATE\n"})
    modules = FlowModules()
    loaded = read_flows([folder / "night.py", folder / "desk.py"], modules)
    assert [(one.flow.name, Path(one.source).name) for one in loaded] == [("desk", "night.py")]
    assert sys.modules[f"{modules.name}_1.night"].RATE == 20
    modules.forget()


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"desk.py": "x = 1\ny = 1 / 0\n"}, r"desk\.py:2 fails to import: ZeroDivisionError"),
        ({"desk.py": "x = 1\n\ndef (\n"}, r"desk\.py:3 fails to import: SyntaxError"),
        ({"shop.py": "a = 1\nb = nothing\n"}, r"shop\.py:2 fails to import: NameError"),
        ({"shop.py": "def (\n"}, r"shop\.py:1 fails to import: SyntaxError"),
        ({"desk.py": "from shop import nothing\n"}, r"desk\.py:1 .*cannot import name 'nothing' from 'shop'"),
        ({"desk.py": "import sys\nsys.exit(3)\n"}, r"desk\.py:2 fails to import: SystemExit: 3"),
        ({"desk.py": "import shop.deeper\n"}, r"desk\.py:1 .*No module named 'shop\.deeper'"),
    ],
)
def test_a_file_that_fails_is_told_with_its_line_and_leaves_nothing(
    folder: Path, files: dict[str, str], told: str
) -> None:
    write(folder, **files)
    before = {name for name in sys.modules if name.startswith(PREFIX)}
    with pytest.raises(ConfigError, match=rf"^flows: {folder}/{told}"):
        load(folder)
    assert {name for name in sys.modules if name.startswith(PREFIX)} == before
