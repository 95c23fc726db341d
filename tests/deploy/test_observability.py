"""Dashboards, alert rules and their runbook: what they name exists, and Prometheus' own tools agree."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from voiceagent.app.limits import limits_of
from voiceagent.observe.metrics import Metrics
from voiceagent.settings import bare_settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
BOARDS = sorted((DEPLOY / "grafana").glob("*.json"))
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
OF_PROMETHEUS = {"instance", "job"}
LABELS: dict[str, set[str]] = {}
"""What each series has."""
for one in Metrics().names:
    if one.kind == "histogram":
        LABELS[f"{one.name}_bucket"] = {*one.labels, "le"} | OF_PROMETHEUS
        LABELS[f"{one.name}_sum"] = LABELS[f"{one.name}_count"] = {*one.labels} | OF_PROMETHEUS
    else:
        LABELS[one.name] = {*one.labels} | OF_PROMETHEUS


def board(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def expressions(path: Path) -> Iterator[tuple[str, str, str]]:
    """Panel, expression and legend of everything that a dashboard asks for."""
    told = board(path)
    for panel in told["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"], target["legendFormat"]
    for note in told["annotations"]["list"]:
        if "expr" in note:
            yield note["name"], note["expr"], note["textFormat"]


EVERYTHING = [
    (f"{path.stem}: {title}", expr, legend) for path in BOARDS for title, expr, legend in expressions(path)
] + [(rule["alert"], rule["expr"], rule["annotations"]["summary"]) for rule in RULES]


@pytest.mark.parametrize(("where", "expr", "legend"), EVERYTHING, ids=[one[0] for one in EVERYTHING])
def test_every_metric_and_label_that_is_asked_for_exists(where: str, expr: str, legend: str) -> None:
    asked = re.findall(r"\b(voiceagent_\w+)(?:\{([^}]*)\})?", expr)
    assert asked or "up{" in expr
    known = set(OF_PROMETHEUS)
    for name, matchers in asked:
        assert name in LABELS, name
        wanted = {matcher.group(1) for matcher in re.finditer(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", matchers)}
        assert wanted <= LABELS[name], name
        known |= LABELS[name]
    made = set(re.findall(r'count_values by \([^)]*\) \("(\w+)"', expr))
    for listed in re.findall(r"\b(?:by|on|ignoring|without)\s*\(([^)]*)\)", expr):
        assert {label.strip() for label in listed.split(",")} <= known | made, listed
    shown = set(re.findall(r"\{\{\s*(\w+)\s*\}\}", legend)) | set(re.findall(r"\$labels\.(\w+)", legend))
    assert shown <= known | made


def test_limits_that_are_asked_for_are_shown() -> None:
    shown = limits_of(bare_settings({})).keys()
    for where, expr, _ in EVERYTHING:
        for names in re.findall(r'limit(?:_reached_total)?\{[^}]*name=~?"([^"]+)"', expr):
            assert set(names.split("|")) <= shown, where


def test_buckets_that_are_asked_for_exist() -> None:
    metrics = Metrics()
    for _, expr, _ in EVERYTHING:
        for name, le in re.findall(r'\b(voiceagent_\w+)_bucket\{[^}]*le="([^"]+)"', expr):
            assert f'{name}_bucket{{le="{le}"}}' in metrics.render()


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_whole(path: Path) -> None:
    told = board(path)
    panels = told["panels"]
    assert len(panels) > 20
    ids = [panel["id"] for panel in panels]
    assert len(set(ids)) == len(ids)
    places: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        covered = set(itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])))
        assert at["x"] + at["w"] <= 24, panel["title"]
        assert not covered & places, panel["title"]
        places |= covered
        assert panel["type"] == "row" or panel["targets"], panel["title"]
        for target in panel.get("targets", ()):
            assert target["datasource"]["uid"] == "${datasource}", panel["title"]
    titles = [panel["title"] for panel in panels if panel["type"] != "row"]
    assert len(set(titles)) == len(titles)


def test_dashboards_do_not_mistake_each_other() -> None:
    assert [path.stem for path in BOARDS] == ["call-quality", "fleet"]
    assert len({board(path)["uid"] for path in BOARDS}) == 2
    shown = "\n".join(expr for _, expr, _ in EVERYTHING)
    unused = {
        "voiceagent_process_virtual_memory_bytes",
        "voiceagent_process_max_fds",
        "voiceagent_process_start_time_seconds",
        "voiceagent_flows_reloads_total",
        "voiceagent_trunk_states_total",
    }
    missing = {one.name for one in Metrics().names if one.name not in shown} - unused
    assert missing == set(), "a metric that nobody looks at"


def test_grafana_finds_them_by_itself() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "voiceagent.yaml").read_text())["providers"]
    assert provider["type"] == "file"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"]
    assert source["type"] == "prometheus"


def test_every_alert_has_a_runbook() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    headings = re.findall(r"^### (Voiceagent\w+)$", page, re.MULTILINE)
    assert headings == [rule["alert"] for rule in RULES], "in the order of the rules"
    for rule in RULES:
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in ("critical", "warning", "info")


def promtool(*arguments: str, folder: Path = PROMETHEUS) -> str:
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool is not here (Debian: prometheus)")
    done = subprocess.run(
        [tool, *arguments], cwd=folder, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_prometheus_takes_configuration_and_rules() -> None:
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml")
    assert f"{len(RULES)} rules found" in promtool("check", "rules", "alerts.yml")


def test_alerts_come_when_they_should_and_not_before() -> None:
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml")


def test_prometheus_can_read_every_expression_of_the_dashboards(tmp_path: Path) -> None:
    rules = [
        {
            "record": f"panel:{number}",
            "expr": expr.replace("$__rate_interval", "5m").replace("$node", ".*"),
        }
        for number, (_, expr, _) in enumerate(EVERYTHING)
    ]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    assert f"{len(rules)} rules found" in promtool("check", "rules", str(file), folder=tmp_path)
