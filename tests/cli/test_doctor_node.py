"""The doctor looks at the machine: folders, room, descriptors."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from voiceagent.cli import doctor_node
from voiceagent.cli.doctor_node import folder_findings, room_findings
from voiceagent.settings.tree import bare_settings

Usage = namedtuple("Usage", "total used free")


def test_folders_that_can_be_written_are_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_node.shutil, "disk_usage", lambda _: Usage(0, 0, 50 << 30))
    (one,) = folder_findings(bare_settings({"journal_dir": str(tmp_path / "not" / "yet")}))
    assert one.ok
    assert "50 GB free" in one.detail


def test_a_full_disk_is_told_with_its_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_node.shutil, "disk_usage", lambda _: Usage(0, 0, 700 << 20))
    found = folder_findings(bare_settings({"journal_dir": str(tmp_path), "recordings_dir": str(tmp_path)}))
    assert [one.ok for one in found] == [False, False]
    assert found[0].detail.startswith("journal_dir:")
    assert "700 MB free" in found[0].detail


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    (one,) = folder_findings(bare_settings({"journal_dir": str(tmp_path / "file")}))
    assert not one.ok
    assert one.detail == f"journal_dir: {tmp_path / 'file'} is no folder"


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(doctor_node.tempfile, "TemporaryFile", refused)
    (one,) = folder_findings(bare_settings({"journal_dir": str(tmp_path)}))
    assert not one.ok
    assert "Read-only file system" in one.detail


def test_calls_need_ports_and_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_node, "allowed_descriptors", lambda: 256)
    ports, descriptors = room_findings(
        bare_settings({"media.port_low": 30000, "media.port_high": 30099, "call.max_calls": 60})
    )
    assert not ports.ok
    assert ports.detail.startswith("50 pairs for 60 calls: widen media.port_low")
    assert not descriptors.ok
    assert "256 open files allowed, 60 calls may need 616" in descriptors.detail


def test_the_service_takes_all_descriptors_that_it_may() -> None:
    code = (
        "import resource\n"
        "from voiceagent.descriptors import widen_descriptors\n"
        "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))\n"
        "widen_descriptors()\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0] == hard)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] != 64


def test_the_store_of_recordings_is_asked(tmp_path: Path) -> None:
    pytest.importorskip("obstore")
    settings = {"journal_dir": str(tmp_path), "recording.store": f"file://{tmp_path}/store"}
    *_, well = folder_findings(bare_settings(settings))
    assert (well.ok, well.detail) == (True, f"file://{tmp_path}/store")
    nowhere = {
        "recording.store": "s3://bucket",
        "recording.store_options": {"endpoint": "http://127.0.0.1:9"},
    }
    *_, away = folder_findings(bare_settings({"journal_dir": str(tmp_path), **nowhere}))
    assert not away.ok
    assert "recordings wait in recordings_dir" in away.detail
