"""The systemd units, as systemd itself reads them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.deploy.kit import DEPLOY, DRAIN_LIMIT_S, run, strangers, tool

UNITS = ["voiceagent.service", "voiceagent@.service"]


def settings_of(unit: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "systemd" / unit).read_text(encoding="utf-8").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_takes_the_unit(unit: str, tmp_path: Path) -> None:
    verify = tool("systemd-analyze", "systemd")
    text = (DEPLOY / "systemd" / unit).read_text(encoding="utf-8")
    program = tmp_path / "voiceagent"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    assert "/opt/voiceagent/bin/voiceagent" in text
    name = unit.replace("@", "@a")
    (tmp_path / name).write_text(
        text.replace("/opt/voiceagent/bin/voiceagent", str(program)), encoding="utf-8"
    )
    said = run(verify, "verify", "--man=no", str(tmp_path / name))
    assert name not in said, said  # a line that it does not understand is told with the unit's name


@pytest.mark.parametrize("unit", UNITS)
def test_the_unit_is_shut_in(unit: str, tmp_path: Path) -> None:
    verify = tool("systemd-analyze", "systemd")
    copy = tmp_path / unit.replace("@", "@a")
    copy.write_bytes((DEPLOY / "systemd" / unit).read_bytes())
    said = run(verify, "security", "--offline=true", "--threshold=20", str(copy))
    assert re.search(r"exposure level for .*: 1\.\d OK", said), said[-300:]


@pytest.mark.parametrize("unit", UNITS)
def test_a_stop_waits_for_the_calls(unit: str) -> None:
    found = settings_of(unit)
    assert float(found["TimeoutStopSec"][0]) >= DRAIN_LIMIT_S + 30
    assert found["Type"] == ["notify"]
    assert found["KillMode"] == ["mixed"]  # SIGTERM to the one process that knows what to do, not to all


@pytest.mark.parametrize("unit", UNITS)
def test_the_unit_sets_what_there_is(unit: str) -> None:
    words = " ".join(settings_of(unit)["Environment"]).split()
    assert not strangers([word.partition("=")[0] for word in words])


def test_the_pair_shares_nothing() -> None:
    pair = []
    for name in ("a", "b"):
        lines = (DEPLOY / "systemd" / f"{name}.env").read_text(encoding="utf-8").splitlines()
        pair.append(dict(line.split("=", 1) for line in lines if not line.startswith("#")))
    a, b = pair
    assert not strangers(a)
    assert a.keys() == b.keys()
    assert all(a[name] != b[name] for name in a)
    assert int(a["VOICEAGENT_MEDIA__PORT_HIGH"]) < int(b["VOICEAGENT_MEDIA__PORT_LOW"])
    assert "voiceagent/%i" in settings_of("voiceagent@.service")["StateDirectory"][0]
