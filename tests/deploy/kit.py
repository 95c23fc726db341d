"""What the checks of deploy/ share."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from voiceagent.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DRAIN_LIMIT_S = float(Settings.model_fields["call"].default_factory().drain_limit_s)  # pyright: ignore


def tool(name: str, package: str) -> str:
    """Return the program's path; skip, saying what to install, where it is missing."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: apt-get install {package})")
    return found


def run(*command: str) -> str:
    """Return what a command said; fail with it when it failed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def documents(path: Path) -> list[dict[str, Any]]:
    """Return the YAML documents of a file."""
    return [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]


def _sections(model: type[BaseModel], path: str = "VOICEAGENT_") -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        yield f"{path}{name.upper()}"
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _sections(inner, f"{path}{name.upper()}__")


OURS = frozenset({*_sections(Settings), "VOICEAGENT_CACHE"})
"""Every variable that a setting may be given by."""


def strangers(environment: Mapping[str, Any] | list[str]) -> set[str]:
    """Return the variables that look like ours and set nothing."""
    return {name for name in environment if name.startswith("VOICEAGENT_")} - OURS
