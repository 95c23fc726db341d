"""No metric is a dead name: each is fed by a method, each method by the service; and all are written down."""

from __future__ import annotations

import ast
import inspect
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from voiceagent.observe.metric_names import Names
from voiceagent.observe.metrics import Metrics
from voiceagent.observe.metrics_page import page

ROOT = Path(__file__).parents[2]
SOURCES = {
    path: path.read_text(encoding="utf-8")
    for path in (ROOT / "voiceagent").rglob("*.py")
    if "bench" not in path.parts and path.name not in ("metrics.py", "metric_names.py")
}
FEEDERS = [
    name
    for name, one in vars(Metrics).items()
    if inspect.isfunction(one) and not name.startswith("_") and name not in ("render", "pieces")
]


def families() -> set[str]:
    """The attributes that hold a family."""
    (names,) = (
        one
        for one in ast.parse(inspect.getsource(Names)).body
        if isinstance(one, ast.ClassDef)
    )  # fmt: skip
    made = [node for node in ast.walk(names) if isinstance(node, ast.Assign)]
    return {
        target.attr
        for one in made
        for target in one.targets
        if isinstance(target, ast.Attribute) and target.attr.startswith("_") and target.attr != "_watched"
    }


def test_every_family_is_fed_by_a_method() -> None:
    source = inspect.getsource(Metrics)
    assert len(families()) > 40
    assert {name for name in families() if f"self.{name}" not in source} == set()


@pytest.mark.parametrize("feeder", FEEDERS)
def test_every_method_is_called_by_the_service(feeder: str) -> None:
    called = re.compile(rf"metrics\.{feeder}\b")
    assert any(called.search(text) for text in SOURCES.values()), feeder


@pytest.mark.parametrize("name", sorted(Metrics()._watched))  # pyright: ignore[reportPrivateUsage]
def test_every_watched_gauge_is_watched(name: str) -> None:
    everything = [*SOURCES.values(), inspect.getsource(Metrics)]
    assert any(f'.watch("{name}"' in text for text in everything), name


def test_what_is_served_is_what_is_written_down() -> None:
    metrics = Metrics()
    kinds = {"unknown": "gauge"}
    served = {
        family.name + ("_total" if family.type == "counter" else ""): kinds.get(family.type, family.type)
        for family in metrics.registry.collect()
    }
    assert {one.name: one.kind for one in metrics.names} == served
    assert len(served) == len(metrics.names)
    assert (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8") == page(), "run scripts/metrics-table"


def test_prometheus_finds_nothing_wrong_with_them() -> None:
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool is not here (Debian: prometheus)")
    metrics = Metrics(version="1.2")
    metrics.call_refused("capacity")
    done = subprocess.run(
        [tool, "check", "metrics"],
        input=metrics.render(),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
